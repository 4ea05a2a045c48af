import { TextInput } from '@mantine/core'
import { type ReactNode, useEffect, useState } from 'react'
import { numberText, parseNumber } from '~/lib/operating'

interface Props {
  label: ReactNode
  name: string
  value: number | undefined
  share?: boolean
  /** What an empty field means; without it a number must stand there. */
  empty?: string
  error?: ReactNode
  /** A sentence where the number cannot be taken. */
  check?: (value: number) => string | null
  width?: number
  onChange: (value: number | undefined) => void
}

/** A number as people type it: 0.8, 1e-3, or 0.5 % of a share. What cannot be read stays and says why. */
export function NumberField(props: Props) {
  const { value, share = false, empty, check, onChange } = props
  const [typed, setTyped] = useState<string | null>(null)
  const shown = value === undefined ? '' : numberText(value, share)
  // A slider or the back button changed the number: what was typed is no longer it.
  useEffect(() => {
    if (value !== undefined) setTyped((old) => (old !== null && parseNumber(old) === value ? old : null))
  }, [value])
  const problem = (text: string): string | null => {
    if (empty !== undefined && text.trim() === '') return null
    const found = parseNumber(text)
    if (found === null)
      return share ? 'Expected a number, such as 0.8 or 0.5 %.' : 'Expected a number, such as 4 or 1e-3.'
    return check?.(found) ?? null
  }
  return (
    <TextInput
      size="xs"
      w={{ base: 'calc(50% - 5px)', xs: props.width ?? 120 }}
      label={props.label}
      aria-label={props.name}
      inputMode="decimal"
      placeholder={empty}
      value={typed ?? shown}
      error={(typed !== null && problem(typed)) || props.error}
      onChange={(event) => {
        const text = event.currentTarget.value
        setTyped(text)
        if (problem(text) === null) onChange(parseNumber(text) ?? undefined)
      }}
      onBlur={() => setTyped((old) => (old !== null && problem(old) === null ? null : old))}
    />
  )
}
