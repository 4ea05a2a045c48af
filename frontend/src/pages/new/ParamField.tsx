import { MultiSelect, NativeSelect, Switch, TagsInput, TextInput } from '@mantine/core'
import { useState } from 'react'
import { paramValue } from '~/lib/format'
import { fieldId } from '~/spec/problems'
import { type Field, rangeText } from '~/spec/schema'
import { complaint, fromTags, fromText, toTags, toText } from '~/spec/values'
import { FieldLabel } from './FieldLabel'
import { useFieldProblem } from './ProblemsContext'

interface Props {
  field: Field
  path: string
  value: unknown
  /** Used in place of the schema's default where the value comes from elsewhere. */
  inherited?: unknown
  onChange: (value: unknown) => void
}

/** One parameter, with the control that its schema asks for. */
export function ParamField({ field, path, value, inherited, onChange }: Props) {
  const fallback = inherited ?? field.default
  const problem = useFieldProblem(path)
  const shared = {
    id: fieldId(path),
    label: <FieldLabel field={field} />,
    description: describe(field),
    error: problem ?? complaint(field, value),
    placeholder:
      fallback === undefined || fallback === null
        ? field.nullable
          ? 'automatic'
          : ''
        : paramValue(fallback),
  }
  if (field.kind === 'choice' || field.kind === 'flag')
    return <ChoiceField field={field} shared={shared} value={value} fallback={fallback} onChange={onChange} />
  if (field.sweepable) return <SweepField field={field} shared={shared} value={value} onChange={onChange} />
  return <TextField field={field} shared={shared} value={value} onChange={onChange} />
}

interface ControlProps {
  field: Field
  shared: {
    id: string
    label: React.ReactNode
    description: string | undefined
    error: string | undefined
    placeholder: string
  }
  value: unknown
  onChange: (value: unknown) => void
}

function describe(field: Field): string | undefined {
  const range = rangeText(field)
  return (
    [field.help, range && `${range[0]?.toUpperCase()}${range.slice(1)}.`].filter(Boolean).join(' ') ||
    undefined
  )
}

/** Several values make a sweep; a comma, a blank or Enter ends each. */
function SweepField({ field, shared, value, onChange }: ControlProps) {
  const tags = toTags(field, value)
  return (
    <TagsInput
      {...shared}
      size="sm"
      placeholder={tags.length ? '' : shared.placeholder}
      value={tags}
      splitChars={field.kind === 'list' ? [',', ';'] : [',', ';', ' ']}
      acceptValueOnBlur
      onChange={(next) => onChange(fromTags(field, next))}
    />
  )
}

/** Keeps what is typed as it is typed; the value follows whenever it can be read. */
function TextField({ field, shared, value, onChange }: ControlProps) {
  const [typed, setTyped] = useState<string | null>(null)
  const shown =
    typed ?? (field.kind === 'list' && Array.isArray(value) ? value.map(toText).join(', ') : toText(value))
  const numeric = field.kind === 'number' || field.kind === 'integer'
  return (
    <TextInput
      {...shared}
      inputMode={numeric ? 'decimal' : undefined}
      value={shown}
      onChange={(event) => {
        setTyped(event.currentTarget.value)
        onChange(fromText(field, event.currentTarget.value))
      }}
      onBlur={() => setTyped(null)}
    />
  )
}

function ChoiceField({ field, shared, value, fallback, onChange }: ControlProps & { fallback: unknown }) {
  if (field.sweepable) {
    const options = field.kind === 'flag' ? ['true', 'false'] : field.choices
    const chosen = toTags(field, value)
    return (
      <MultiSelect
        {...shared}
        placeholder={chosen.length ? '' : shared.placeholder}
        data={[...new Set([...options, ...chosen])].map((value) => ({
          value,
          label: field.labels?.get(value) ?? value,
        }))}
        value={chosen}
        onChange={(next) => onChange(fromTags(field, next))}
      />
    )
  }
  if (field.kind === 'flag')
    return (
      <Switch
        id={shared.id}
        label={shared.label}
        description={shared.description}
        error={shared.error}
        checked={Boolean(value ?? fallback)}
        onChange={(event) => onChange(event.currentTarget.checked)}
      />
    )
  const { placeholder, ...rest } = shared
  const titleOf = (choice: string) => field.labels?.get(choice) ?? choice
  return (
    <NativeSelect
      {...rest}
      value={toText(value)}
      onChange={(event) => onChange(event.currentTarget.value || undefined)}
      data={[
        { value: '', label: placeholder ? `Default: ${titleOf(placeholder)}` : 'Default' },
        ...field.choices.map((choice) => ({ value: choice, label: titleOf(choice) })),
        ...(value !== undefined && value !== null && !field.choices.includes(toText(value))
          ? [{ value: toText(value), label: toText(value) }]
          : []),
      ]}
    />
  )
}
