import { screen } from '@testing-library/react'
import { expect, test } from 'vitest'
import { render } from '~/test/render'
import { AuditAlarm, AuditMark } from './AuditAlarm'

test('an alarm is said aloud, and only where there is one', () => {
  render(<AuditAlarm alarm="It leaks at least ε = 3." />)
  expect(screen.getByRole('alert')).toHaveTextContent('The claimed ε does not hold')
  expect(screen.getByRole('alert')).toHaveTextContent('It leaks at least ε = 3.')
})

test('without one nothing is shown', () => {
  render(
    <>
      <AuditAlarm alarm={null} />
      <AuditMark />
    </>,
  )
  expect(screen.queryByRole('alert')).toBeNull()
  expect(screen.queryByText(/refuted/)).toBeNull()
})

test('the mark of a table row says why when pointed at', () => {
  render(<AuditMark alarm="because" />)
  expect(screen.getByTitle('because')).toHaveTextContent('ε refuted')
})
