import { Button, FileButton, Group, Text } from '@mantine/core'
import type { Task } from '~/api'
import { Fold } from '~/components/Fold'
import { ProblemNotice } from '~/components/ProblemNotice'
import { useRateCsv } from '~/data/reviews'

interface Props {
  reviewId: string
  task: Task
  you: string | null
}

/** Answers from a file: the download, with its column `value` filled in. */
export function RatingImport({ reviewId, task, you }: Props) {
  const take = useRateCsv(reviewId, task.id, you)
  return (
    <Fold label="Rate in a spreadsheet instead">
      <Text size="sm" mb="xs">
        Download your ratings as CSV, fill in the column “value” with{' '}
        {task.scale.points.map((point) => point.value).join(', ')}
        {task.scale.unsure !== false && ' or unsure'}, and take the file back. All answers are taken or none.
      </Text>
      <FileButton
        accept=".csv,text/csv"
        inputProps={{ 'aria-label': 'CSV file with answers' }}
        onChange={(file) => {
          file?.text().then((text) => take.mutate(text))
        }}
      >
        {(props) => (
          <Button size="xs" variant="default" loading={take.isPending} {...props}>
            Take answers from a file
          </Button>
        )}
      </FileButton>
      {take.error && (
        <Group mt="sm">
          <ProblemNotice error={take.error} />
        </Group>
      )}
      {take.isSuccess && (
        <Text size="sm" role="status" mt="xs">
          The answers were taken.
        </Text>
      )}
    </Fold>
  )
}
