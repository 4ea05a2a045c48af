import { screen, within } from '@testing-library/react'
import { describe, expect, it } from 'vitest'
import type { RunDetail } from '~/api'
import { catalogue, plugin } from '~/test/fixtures'
import { render } from '~/test/render'
import { RunConfiguration } from './RunConfiguration'

const part = (name: string, params: Record<string, unknown> = {}) => ({ name, params, version: '1' })

const detail = (attacks: unknown[]) =>
  ({
    config_hash: 'c'.repeat(64),
    engine: 'fleet-cpu',
    setting: {
      dataset: part('adult'),
      model: part('mlp'),
      method: part('dp_sgd', { delta: null, epsilon: 2, forgotten_switch: true }),
      training: { epochs: 10 },
      attacks,
      data_hash: null,
      engine_version: 'e',
    },
  }) as unknown as RunDetail

function factsOf(title: string): string[][] {
  const section = screen.getByRole('heading', { name: title }).closest('section') as HTMLElement
  return within(section)
    .getAllByRole('term')
    .map((term) => [term.textContent ?? '', term.nextElementSibling?.textContent ?? ''])
}

const audit = plugin('attack', 'canary_audit', {
  title: 'Canary audit',
  params_schema: {
    properties: {
      canaries: { type: 'integer', title: 'Number of canaries', unit: 'records', default: 1000 },
      widths: { type: 'array', items: { type: 'integer' }, title: 'Widths', default: [1] },
    },
  },
})

describe('the configuration of a run', () => {
  it('names parameters as the form does, in its order, and keeps those it does not know', () => {
    render(<RunConfiguration run={detail([])} />)
    expect(factsOf('Method: DP-SGD')).toEqual([
      ['Epsilon', '2'],
      ['Delta', 'automatic'],
      ['forgotten switch', 'yes'],
    ])
    expect(factsOf('Training')).toEqual([['Epochs', '10']])
  })

  it('shows the parameters of attacks and audits in words', () => {
    render(
      <RunConfiguration
        run={detail([
          part('canary_audit', { widths: [1, 2], canaries: 200 }),
          part('loss_threshold'),
          part('gone_attack', { some_limit: 3 }),
        ])}
      />,
      { ...catalogue, plugins: [...catalogue.plugins, audit] },
    )
    expect(factsOf('Canary audit')).toEqual([
      ['Number of canaries (records)', '200'],
      ['Widths', '1, 2'],
    ])
    expect(screen.getByRole('heading', { name: 'loss_threshold' }).closest('section')).toHaveTextContent(
      'No parameters',
    )
    expect(factsOf('gone attack')).toEqual([['some limit', '3']])
  })
})
