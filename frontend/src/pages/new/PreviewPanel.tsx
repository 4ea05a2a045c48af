import { Anchor, Button, List, Skeleton, Stack, Text, Title } from '@mantine/core'
import { IconAlertTriangle, IconPlayerPlay } from '@tabler/icons-react'
import type { Catalogue, Preview, Problem, ProblemDetails } from '~/api'
import { Fold } from '~/components/Fold'
import { NoiseTable } from '~/components/NoiseTable'
import { ProblemNotice } from '~/components/ProblemNotice'
import { fieldPath, focusField, sentence } from '~/spec/problems'
import classes from './PreviewPanel.module.css'

interface Props {
  catalogue: Catalogue | undefined
  preview: Preview | undefined
  stale: boolean
  problem: ProblemDetails | undefined
  submitting: boolean
  onSubmit: () => void
  onRetry: () => void
}

/** What will run, before it runs, and the button that runs it. */
export function PreviewPanel({ catalogue, preview, stale, problem, submitting, onSubmit, onRetry }: Props) {
  const invalid = problem?.status === 422
  const titles = new Map(catalogue?.plugins.filter((p) => p.kind === 'method').map((p) => [p.name, p.title]))
  return (
    <aside className={classes.panel} aria-label="Preview">
      <Title order={2}>What will run</Title>
      {problem && invalid && <Summary problem={problem} />}
      {problem && !invalid && <ProblemNotice problem={problem} onRetry={onRetry} />}
      {!problem && !preview && <Skeleton height={72} aria-label="Counting the runs" />}
      {!problem && preview && (
        <Stack gap="sm" className={classes.content} data-stale={stale || undefined} aria-live="polite">
          <Text fw={500} className="tabular">
            {preview.sentence}
          </Text>
          {preview.warnings && preview.warnings.length > 0 && (
            <List
              size="xs"
              spacing={4}
              icon={<IconAlertTriangle size={13} className={classes.warn} aria-hidden />}
            >
              {preview.warnings.map((warning) => (
                <List.Item key={warning}>{warning}</List.Item>
              ))}
            </List>
          )}
          <table className={classes.table}>
            <thead>
              <tr>
                <th scope="col">Method</th>
                <th scope="col">Settings</th>
                <th scope="col">Runs</th>
              </tr>
            </thead>
            <tbody>
              {preview.methods.map((method, i) => (
                // The same method may be listed twice with other parameters.
                // biome-ignore lint/suspicious/noArrayIndexKey: methods have no identity but their place
                <tr key={i}>
                  <td>{method.title}</td>
                  <td>{method.settings}</td>
                  <td>{method.runs}</td>
                </tr>
              ))}
            </tbody>
          </table>
          {preview.noise.length > 0 && (
            <Fold label="Noise that each ε needs">
              <NoiseTable noise={preview.noise} titles={titles} />
            </Fold>
          )}
        </Stack>
      )}
      <Button
        fullWidth
        mt="xs"
        leftSection={<IconPlayerPlay size={15} aria-hidden />}
        disabled={Boolean(problem)}
        loading={submitting}
        onClick={onSubmit}
      >
        Start study
      </Button>
    </aside>
  )
}

/** Everything that needs a change, each a link to its field. */
function Summary({ problem }: { problem: ProblemDetails }) {
  const problems: readonly Problem[] = problem.problems ?? []
  return (
    <div className={classes.summary} role="alert">
      <Text size="sm" fw={600}>
        {problems.length > 1 ? `${problems.length} fields need a change` : 'One thing needs a change'}
      </Text>
      {problems.length === 0 && <Text size="sm">{problem.detail}</Text>}
      <List size="sm" mt={4} spacing={4}>
        {problems.map((one) => (
          <List.Item key={`${one.field}${one.fix}`}>
            {one.field && (
              <Anchor component="button" type="button" size="sm" onClick={() => focusField(one.field)}>
                {fieldPath(one.field)}
              </Anchor>
            )}{' '}
            {sentence(one)}
          </List.Item>
        ))}
      </List>
    </div>
  )
}
