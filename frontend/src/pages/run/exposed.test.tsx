import { screen, within } from '@testing-library/react'
import { describe, expect, it } from 'vitest'
import type { RunDetail } from '~/api'
import { render } from '~/test/render'
import { ExposedSection } from './ExposedSection'

const detail = (exposed: RunDetail['exposed']) => ({ exposed }) as RunDetail

describe('the most exposed records', () => {
  it('are places with a score, and what the attack rests on', () => {
    const records = [
      { row: 31, score: 4.25, percentile: 99.99722, subgroups: ['sex=Female', 'sex=Female & race=Black'] },
      { row: 7, score: 3.5, percentile: 99.5, subgroups: ['sex=Male'] },
    ]
    render(
      <ExposedSection run={detail([{ attack: 'lira', models: 64, left_out: 2, unscored: 1300, records }])} />,
    )
    expect(screen.getByText(/compared with 64 shadow models, 2 more diverged or failed/)).toBeVisible()
    expect(screen.getByText(/1,300 rows without a score/)).toBeVisible()
    const rows = within(screen.getByRole('table')).getAllByRole('row').slice(1)
    const cells = rows.map((row) =>
      within(row)
        .getAllByRole('cell')
        .map((cell) => cell.textContent),
    )
    expect(cells).toEqual([
      ['31', '4.25', '99.9972', 'sex: Female and race: Black'],
      ['7', '3.5', '99.5', 'sex: Male'],
    ])
  })

  it('say why an attack has none', () => {
    render(<ExposedSection run={detail([{ attack: 'rmia', statement: 'Only 3 shadow models.' }])} />)
    expect(screen.getByText(/Only 3 shadow models\./)).toBeVisible()
    expect(screen.queryByRole('table')).toBeNull()
  })

  it('say beside the figures that shadow models are missing', () => {
    const records = [{ row: 31, score: 4.25, percentile: 99.9, subgroups: [] }]
    const statement = 'Only 9 of 64 shadow models could be used.'
    render(<ExposedSection run={detail([{ attack: 'lira', models: 9, left_out: 55, records, statement }])} />)
    expect(screen.getByText(/compared with 9 shadow models.* Only 9 of 64 shadow models/)).toBeVisible()
    expect(screen.getByRole('table')).toBeVisible()
  })

  it('are no panel where no attack compares with shadow models', () => {
    render(<ExposedSection run={detail([])} />)
    expect(screen.queryByText('Most exposed records')).toBeNull()
  })
})
