import { screen } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { useState } from 'react'
import { describe, expect, it, vi } from 'vitest'
import type { Params } from '~/data/types'
import type { Draft } from '~/spec/draft'
import { asDraft } from '~/spec/draft'
import { catalogue, epsilonSchema, preset } from '~/test/fixtures'
import { render } from '~/test/render'
import { MethodsSection } from './MethodsSection'
import { ProblemsContext } from './ProblemsContext'
import { QuestionSection } from './QuestionSection'
import { SchemaForm } from './SchemaForm'
import { ThereContext, thereOf } from './ThereContext'

function Form({ onChange }: { onChange: (params: Params) => void }) {
  const [params, setParams] = useState<Params>({ epsilon: [1, 2] })
  return (
    <SchemaForm
      schema={epsilonSchema}
      path="methods.1.params"
      params={params}
      onChange={(next) => {
        setParams(next)
        onChange(next)
      }}
    />
  )
}

describe('the form of a schema', () => {
  it('takes comma-separated values for a sweep', async () => {
    const onChange = vi.fn()
    render(<Form onChange={onChange} />)
    await userEvent.type(screen.getByRole('combobox', { name: /Epsilon/ }), '4,8{Enter}')
    expect(onChange).toHaveBeenLastCalledWith({ epsilon: [1, 2, 4, 8] })
  })

  it('shows the server’s problem at the field', () => {
    render(
      <ProblemsContext
        value={[
          { field: 'methods.1.params.epsilon', expected: 'a number above 0', got: '-1', fix: 'Give 0.5.' },
          { field: 'methods.0.params.epsilon', expected: 'nothing here', fix: '' },
        ]}
      >
        <Form onChange={() => {}} />
      </ProblemsContext>,
    )
    expect(screen.getByText('Expected a number above 0, got -1. Give 0.5.')).toBeVisible()
    expect(screen.queryByText(/nothing here/)).toBeNull()
  })
})

describe('a parameter that names an attribute', () => {
  const schema = {
    properties: {
      attribute: { type: 'string', title: 'Sensitive attribute', default: 'sex', refers_to: 'attribute' },
    },
  }
  const shown = (dataset: string, onChange = vi.fn(), params: Params = {}) => {
    const draft = asDraft({ ...preset.spec, dataset: { name: dataset } })
    render(
      <ThereContext value={thereOf(catalogue, draft)}>
        <SchemaForm schema={schema} path="methods.0.params" params={params} onChange={onChange} />
      </ThereContext>,
    )
    return screen.getByLabelText(/Sensitive attribute/)
  }
  const options = (menu: HTMLElement) => [...menu.querySelectorAll('option')].map((one) => one.textContent)

  it('offers those of the data set, by title', async () => {
    const onChange = vi.fn()
    const menu = shown('adult', onChange)
    expect(options(menu)).toEqual(['Default: Sex', 'Sex', 'Race', 'Age band'])
    await userEvent.selectOptions(menu, 'Age band')
    expect(onChange).toHaveBeenLastCalledWith({ attribute: 'age_band' })
    await userEvent.selectOptions(menu, 'Default: Sex')
    expect(onChange).toHaveBeenLastCalledWith({})
  })

  it('keeps a name that the data set lacks in view, and says what there is', () => {
    const menu = shown('adult', vi.fn(), { attribute: 'hair' })
    expect(menu).toHaveValue('hair')
    expect(screen.getByText('Expected sex or race or age_band; got hair.')).toBeVisible()
  })

  it('can be typed where the data set is not known', () => {
    expect(shown('gone').tagName).toBe('INPUT')
  })
})

function Sections({ onDraft }: { onDraft: (draft: Draft) => void }) {
  const [draft, setDraft] = useState(() => asDraft(preset.spec))
  const change = (part: Partial<Draft>) => {
    const next = { ...draft, ...part }
    setDraft(next)
    onDraft(next)
  }
  return (
    <>
      <QuestionSection catalogue={catalogue} draft={draft} onChange={change} />
      <MethodsSection catalogue={catalogue} draft={draft} onChange={change} />
    </>
  )
}

describe('the sections', () => {
  it('add an intersection and remove a method', async () => {
    const onDraft = vi.fn()
    render(<Sections onDraft={onDraft} />)
    await userEvent.click(screen.getByRole('checkbox', { name: 'Sex × Age band' }))
    expect(onDraft.mock.lastCall?.[0].dataset.subgroups).toEqual([
      'sex',
      ['sex', 'race'],
      ['sex', 'age_band'],
    ])
    await userEvent.click(screen.getByRole('button', { name: 'Remove SGD' }))
    expect(onDraft.mock.lastCall?.[0].methods).toEqual([{ name: 'dp_sgd', params: { epsilon: [1, 2] } }])
  })
})
