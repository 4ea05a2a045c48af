/** Reads the catalogue's JSON Schemas as a list of form fields. Pure. */

export type Kind = 'number' | 'integer' | 'text' | 'flag' | 'choice' | 'list' | 'json'

export interface Field {
  key: string
  title: string
  help: string
  kind: Kind
  /** Of a list's entries, and of a choice. */
  items: 'number' | 'text'
  unit?: string
  choices: string[]
  /** Titles of choices that have one. */
  labels?: ReadonlyMap<string, string>
  /** What of the chosen data set the value names. */
  refersTo?: string
  minimum?: number
  maximum?: number
  above?: number
  below?: number
  default: unknown
  required: boolean
  nullable: boolean
  sweepable: boolean
  advanced: boolean
}

export type Schema = Record<string, unknown>

const isSchema = (value: unknown): value is Schema =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Follows a reference into `$defs`, and unpacks a lone `allOf`. */
function resolve(schema: Schema, root: Schema): Schema {
  const { $ref, allOf, ...rest } = schema
  if (typeof $ref === 'string' && $ref.startsWith('#/')) {
    let target: unknown = root
    for (const part of $ref.slice(2).split('/')) target = isSchema(target) ? target[part] : undefined
    return isSchema(target) ? { ...resolve(target, root), ...rest } : rest
  }
  if (Array.isArray(allOf) && allOf.length === 1 && isSchema(allOf[0]))
    return { ...resolve(allOf[0], root), ...rest }
  return schema
}

/** The part of a union that is not null, when there is just one. */
function unwrapNull(schema: Schema, root: Schema): { schema: Schema; nullable: boolean } {
  const { anyOf, ...rest } = schema
  if (!Array.isArray(anyOf)) return { schema, nullable: false }
  const options = anyOf.filter(isSchema).map((option) => resolve(option, root))
  const others = options.filter((option) => option.type !== 'null')
  const nullable = others.length < options.length
  const [only] = others
  return others.length === 1 && only ? { schema: { ...only, ...rest }, nullable } : { schema, nullable }
}

function kindOf(schema: Schema): Kind {
  if (Array.isArray(schema.enum) || 'const' in schema) return 'choice'
  switch (schema.type) {
    case 'number':
    case 'integer':
      return schema.type
    case 'boolean':
      return 'flag'
    case 'string':
      return 'text'
    case 'array':
      return 'list'
    default:
      return 'json'
  }
}

const numeric = (value: unknown) => (typeof value === 'number' ? value : undefined)
const string = (value: unknown) => (typeof value === 'string' ? value : undefined)

function fieldOf(key: string, raw: Schema, root: Schema, required: boolean): Field {
  const { schema, nullable } = unwrapNull(resolve(raw, root), root)
  const kind = kindOf(schema)
  const items = isSchema(schema.items) ? kindOf(resolve(schema.items, root)) : 'text'
  const choices = Array.isArray(schema.enum) ? schema.enum : 'const' in schema ? [schema.const] : []
  const numbers =
    items === 'number' || items === 'integer' || choices.some((choice) => typeof choice === 'number')
  return {
    key,
    title: string(schema.title) ?? key,
    help: string(schema.description) ?? '',
    kind: kind === 'list' && (items === 'list' || items === 'json') ? 'json' : kind,
    items: numbers ? 'number' : 'text',
    unit: string(schema.unit),
    choices: choices.filter((choice) => choice !== null).map(String),
    refersTo: string(schema.refers_to),
    minimum: numeric(schema.minimum),
    maximum: numeric(schema.maximum),
    above: numeric(schema.exclusiveMinimum),
    below: numeric(schema.exclusiveMaximum),
    default: schema.default,
    required,
    nullable,
    sweepable: schema.sweepable === true,
    advanced: schema.advanced === true,
  }
}

/** The parameters of a plugin, in the order of its declaration. */
export function fieldsOf(schema: Schema): Field[] {
  const properties = isSchema(schema.properties) ? schema.properties : {}
  const required = Array.isArray(schema.required) ? schema.required : []
  return Object.entries(properties)
    .filter((entry): entry is [string, Schema] => isSchema(entry[1]))
    .map(([key, property]) => fieldOf(key, property, schema, required.includes(key)))
}

/** What the chosen data set has, as choices, by what a parameter refers to. */
export type There = Readonly<Record<string, readonly { name: string; title: string }[]>>

/** A parameter that names something of the data set becomes a choice among what there is. */
export function offering(field: Field, there: There): Field {
  const offered = field.refersTo === undefined ? undefined : there[field.refersTo]
  if (!offered || field.kind !== 'text') return field
  return {
    ...field,
    kind: 'choice',
    choices: offered.map((one) => one.name),
    labels: new Map(offered.map((one) => [one.name, one.title])),
  }
}

/** "above 0, at most 100", "0 or more", or nothing. */
export function rangeText(field: Field): string {
  const parts: string[] = []
  if (field.above !== undefined) parts.push(`above ${field.above}`)
  if (field.below !== undefined) parts.push(`below ${field.below}`)
  if (field.minimum !== undefined && field.maximum !== undefined)
    parts.push(`${field.minimum} to ${field.maximum.toLocaleString('en-US')}`)
  else if (field.minimum !== undefined) parts.push(`${field.minimum} or more`)
  else if (field.maximum !== undefined) parts.push(`at most ${field.maximum.toLocaleString('en-US')}`)
  return parts.join(', ')
}
