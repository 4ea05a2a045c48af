import { Slider, TextInput } from '@mantine/core'
import { Term } from '~/components/Term'
import type { GlossaryTerm } from '~/lib/glossary'
import { type Fields, type NumberName, parse, scaleOf } from './fields'
import classes from './GaussianTask.module.css'

interface Props {
  name: NumberName
  label: string
  term: GlossaryTerm
  fields: Fields
  error: string | undefined
  onType: (text: string) => void
  onSlide: (place: number) => void
}

/** A slider for the feel of it and a field for the number. */
export function NumberControl({ name, label, term, fields, error, onType, onSlide }: Props) {
  const scale = scaleOf(name, fields)
  const text = fields[name]
  return (
    <div className={classes.control}>
      <TextInput
        label={<Term name={term}>{label}</Term>}
        aria-label={label}
        value={text}
        error={error}
        inputMode={name === 'n' || name === 'd' || name === 'k' ? 'numeric' : 'decimal'}
        maxLength={20}
        onChange={(event) => onType(event.currentTarget.value)}
      />
      <Slider
        size="sm"
        label={null}
        min={0}
        max={1}
        step={0.005}
        value={scale.place(parse(text))}
        thumbLabel={`Slider of ${label}`}
        thumbValueText={text}
        onChange={onSlide}
      />
    </div>
  )
}
