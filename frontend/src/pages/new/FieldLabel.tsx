import { Badge, Group, Text, Tooltip } from '@mantine/core'
import { Explained } from '~/components/Term'
import { type GlossaryTerm, glossary } from '~/lib/glossary'
import type { Field } from '~/spec/schema'

const TERMS: Record<string, GlossaryTerm> = {
  epsilon: 'epsilon',
  delta: 'delta',
  noise_multiplier: 'sigma',
  accountant: 'accountant',
  max_grad_norm: 'clipping',
}

/** Name, unit, and whether several values may be given. */
export function FieldLabel({ field }: { field: Field }) {
  const term = TERMS[field.key]
  return (
    <Group component="span" gap={6} display="inline-flex">
      <Explained text={term && glossary[term]}>{field.title}</Explained>
      {field.unit && field.unit.toLowerCase() !== field.title.toLowerCase() && (
        <Text span size="xs" c="dimmed" fw={400}>
          {field.unit}
        </Text>
      )}
      {field.sweepable && (
        <Tooltip label="Give several values, separated by commas: each is a setting of its own.">
          <Badge size="xs" variant="light" radius="sm" tt="none" fw={500}>
            sweep
          </Badge>
        </Tooltip>
      )}
    </Group>
  )
}
