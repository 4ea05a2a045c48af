import { Text } from '@mantine/core'
import { paramValue, words } from '~/lib/format'
import { type Field, fieldsOf, type Schema } from '~/spec/schema'
import type { Fact } from './Facts'
import { Explained } from './Term'

/** Parameters as the form names them: title, unit and help of the schema, in its order; what it lacks follows. */
export function paramFacts(params: Record<string, unknown>, schema: Schema | undefined): Fact[] {
  const fields = schema ? fieldsOf(schema) : []
  const known = fields.filter((field) => field.key in params)
  const others = Object.keys(params).filter((key) => !known.some((field) => field.key === key))
  return [
    ...known.map((field) => ({
      key: field.key,
      name: <ParamName field={field} />,
      value: params[field.key] === null && field.nullable ? 'automatic' : paramValue(params[field.key]),
    })),
    ...others.map((key) => ({ key, name: words(key), value: paramValue(params[key]) })),
  ]
}

function ParamName({ field }: { field: Field }) {
  return (
    <>
      <Explained text={field.help || undefined}>{field.title}</Explained>
      {field.unit && field.unit.toLowerCase() !== field.title.toLowerCase() && (
        <Text span size="xs">
          {' '}
          ({field.unit})
        </Text>
      )}
    </>
  )
}
