import { screen, waitFor } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { describe, expect, it } from 'vitest'
import { render } from '~/test/render'
import { ReportMenu } from './ReportMenu'

async function links(node: Parameters<typeof render>[0]) {
  render(node)
  await userEvent.click(screen.getByRole('button', { name: 'Report' }))
  await waitFor(() => expect(screen.getByRole('menu')).toBeVisible())
  return Object.fromEntries(
    screen.getAllByRole('menuitem').map((item) => [item.textContent, item.getAttribute('href')]),
  )
}

describe('the report menu', () => {
  it('of a study: report, card of a setting, numbers, bundle', async () => {
    expect(await links(<ReportMenu jobs={['abc']} />)).toEqual({
      'Report of this study (HTML)': '/api/reports?job_id=abc',
      'Model card of a setting': null,
      'Measurements (CSV)': '/api/measurements?job_id=abc&format=csv',
      'Rerun bundle of the study (JSON)': '/api/jobs/abc/bundle',
    })
  })

  it('of one setting of a study, at a moment', async () => {
    expect(await links(<ReportMenu jobs={['abc']} settings={[7]} asOf="2026-01-02T03:04:05Z" />)).toEqual({
      'Report of the selection (HTML)': '/api/reports?job_id=abc&setting=7&as_of=2026-01-02T03%3A04%3A05Z',
      'Model card (HTML)': '/api/reports/model-card?setting=7&format=html&job_id=abc',
      'Model card (Markdown)': '/api/reports/model-card?setting=7&format=md&job_id=abc',
      'Measurements (CSV)': '/api/measurements?job_id=abc&setting_id=7&format=csv',
      'Rerun bundle of the study (JSON)': '/api/jobs/abc/bundle',
    })
  })

  it('of a review', async () => {
    expect(await links(<ReportMenu review="r1" />)).toEqual({
      'Report of this review (HTML)': '/api/reports/reviews/r1',
      'Measurements (CSV)': '/api/reports/reviews/r1/measurements',
    })
  })
})
