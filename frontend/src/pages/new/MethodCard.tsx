import { ActionIcon, Badge, Group, Paper, Stack, Text, Tooltip } from '@mantine/core'
import { IconTrash } from '@tabler/icons-react'
import type { Catalogue } from '~/api'
import { Fold } from '~/components/Fold'
import type { Params } from '~/data/types'
import type { MethodDraft } from '~/spec/draft'
import { fieldId } from '~/spec/problems'
import classes from './MethodCard.module.css'
import { useFieldProblem } from './ProblemsContext'
import { SchemaForm } from './SchemaForm'

interface Props {
  catalogue: Catalogue
  method: MethodDraft
  path: string
  training: Params
  onChange: (method: MethodDraft) => void
  onRemove: () => void
}

/** One method of the study. */
export function MethodCard({ catalogue, method, path, training, onChange, onRemove }: Props) {
  const plugin = catalogue.plugins.find((one) => one.kind === 'method' && one.name === method.name)
  const nameProblem = useFieldProblem(`${path}.name`)
  const overrides = Object.keys(method.training ?? {}).length
  const title = plugin?.title ?? method.name
  return (
    <Paper className={classes.card} id={fieldId(path)} tabIndex={-1} role="group" aria-label={title}>
      <Group justify="space-between" wrap="nowrap" align="flex-start">
        <div>
          <Group gap={8}>
            <Text fw={600} size="sm">
              {title}
            </Text>
            <Badge
              size="xs"
              radius="sm"
              tt="none"
              variant="light"
              color={plugin?.method?.private ? 'accent' : 'gray'}
            >
              {plugin?.method?.private ? 'private' : 'not private'}
            </Badge>
          </Group>
          <Text size="xs" c="dimmed" mt={2}>
            {plugin?.summary}
            {plugin?.citation ? ` ${plugin.citation}.` : ''}
          </Text>
          {nameProblem && (
            <Text size="xs" c="var(--mantine-color-error)">
              {nameProblem}
            </Text>
          )}
        </div>
        <Tooltip label="Remove">
          <ActionIcon variant="subtle" color="gray" onClick={onRemove} aria-label={`Remove ${title}`}>
            <IconTrash size={16} stroke={1.7} />
          </ActionIcon>
        </Tooltip>
      </Group>
      <Stack gap="xs" mt="sm">
        {plugin && (
          <SchemaForm
            schema={plugin.params_schema}
            path={`${path}.params`}
            params={method.params}
            onChange={(params) => onChange({ ...method, params })}
          />
        )}
        <Fold
          label={`Training of this method alone${overrides ? ` (${overrides} set)` : ''}`}
          open={overrides > 0 || undefined}
        >
          <SchemaForm
            schema={catalogue.training_schema}
            path={`${path}.training`}
            params={method.training}
            inherited={training}
            onChange={(next) => onChange({ ...method, training: next })}
          />
        </Fold>
      </Stack>
    </Paper>
  )
}
