import { SimpleGrid, Stack } from '@mantine/core'
import { useContext, useMemo } from 'react'
import { Fold } from '~/components/Fold'
import type { Params } from '~/data/types'
import { withParam } from '~/spec/draft'
import { type Field, fieldsOf, offering, type Schema } from '~/spec/schema'
import { ParamField } from './ParamField'
import { ThereContext } from './ThereContext'

interface Props {
  schema: Schema
  path: string
  params: Params | undefined
  inherited?: Params
  onChange: (params: Params) => void
  columns?: number
}

/** A form drawn from a JSON Schema: the usual parameters in view, the advanced folded. */
export function SchemaForm({ schema, path, params, inherited, onChange, columns = 2 }: Props) {
  const there = useContext(ThereContext)
  const fields = useMemo(() => fieldsOf(schema).map((field) => offering(field, there)), [schema, there])
  const usual = fields.filter((field) => !field.advanced)
  const advanced = fields.filter((field) => field.advanced)
  const touched = advanced.filter((field) => params?.[field.key] !== undefined).length
  const draw = (some: Field[]) => (
    <SimpleGrid cols={{ base: 1, xs: columns }} spacing="md" verticalSpacing="sm">
      {some.map((field) => (
        <ParamField
          key={field.key}
          field={field}
          path={`${path}.${field.key}`}
          value={params?.[field.key]}
          inherited={inherited?.[field.key]}
          onChange={(value) => onChange(withParam(params, field.key, value))}
        />
      ))}
    </SimpleGrid>
  )
  if (fields.length === 0) return null
  return (
    <Stack gap="xs">
      {usual.length > 0 && draw(usual)}
      {advanced.length > 0 && (
        <Fold label={`Advanced (${advanced.length}${touched ? `, ${touched} set` : ''})`} open={touched > 0}>
          {draw(advanced)}
        </Fold>
      )}
    </Stack>
  )
}
