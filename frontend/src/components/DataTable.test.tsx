import { screen } from '@testing-library/react'
import { describe, expect, it, vi } from 'vitest'
import { render } from '~/test/render'
import { DataTable } from './DataTable'

describe('a table whose rows select', () => {
  it('has a named box for every row that says what is selected', () => {
    const toggle = vi.fn()
    render(
      <DataTable
        label="Settings"
        columns={[{ key: 'name', title: 'Setting', cell: (row: { name: string }) => row.name }]}
        rows={[{ name: 'first' }, { name: 'second' }]}
        rowKey={(row) => row.name}
        rowName={(row) => row.name}
        isSelected={(row) => row.name === 'second'}
        onSelect={toggle}
      />,
    )
    expect(screen.getByRole('checkbox', { name: 'Select first' })).not.toBeChecked()
    expect(screen.getByRole('checkbox', { name: 'Select second' })).toBeChecked()
    screen.getByRole('checkbox', { name: 'Select first' }).click()
    expect(toggle).toHaveBeenCalledExactlyOnceWith({ name: 'first' })
  })
})
