import { Button, Drawer, Group, Skeleton, Stack } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { runQuery } from '~/data/queries'
import { MeasurementTable } from './MeasurementTable'
import { PrivacyBlock } from './PrivacyBlock'
import { ProblemNotice } from './ProblemNotice'
import { RunConfiguration } from './RunConfiguration'
import { StatusBadge } from './StatusBadge'
import { useRunTitle } from './useRunTitle'

interface Props {
  id: string | undefined
  jobId: string
  onClose: () => void
}

/** A run beside the page that names it; the selection stays where it was. */
export function RunDrawer({ id, jobId, onClose }: Props) {
  const { data: run, error } = useQuery({ ...runQuery(id ?? ''), enabled: Boolean(id) })
  const title = useRunTitle(run)
  return (
    <Drawer
      opened={Boolean(id)}
      onClose={onClose}
      position="right"
      size={520}
      styles={{ title: { fontWeight: 600 } }}
      title={title}
      // The page has one banner.
      attributes={{ header: { role: 'presentation' } }}
      closeButtonProps={{ 'aria-label': 'Close the panel' }}
      overlayProps={{ backgroundOpacity: 0.15 }}
    >
      {error && !run && <ProblemNotice error={error} />}
      {!run && !error && <Skeleton height={420} aria-label="Loading the run" />}
      {run && (
        <Stack gap="lg">
          <div>
            <StatusBadge status={run.status} />
          </div>
          <Group gap="xs">
            <Button
              variant="default"
              style={{ flex: 1 }}
              renderRoot={(props) => <Link to="/runs/$id" params={{ id: run.id }} {...props} />}
            >
              Open the run’s page
            </Button>
            <Button
              variant="default"
              style={{ flex: 1 }}
              renderRoot={(props) => (
                <Link
                  to="/reviews/new"
                  search={{ jobs: [jobId], settings: [String(run.setting_id)] }}
                  {...props}
                />
              )}
            >
              Start a review
            </Button>
          </Group>
          <PrivacyBlock run={run} job={jobId} />
          <MeasurementTable measurements={run.measurements} />
          <RunConfiguration run={run} />
        </Stack>
      )}
    </Drawer>
  )
}
