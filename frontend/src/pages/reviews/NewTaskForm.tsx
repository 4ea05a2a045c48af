import {
  Button,
  FileButton,
  Group,
  NativeSelect,
  NumberInput,
  Stack,
  Switch,
  TagsInput,
  Text,
  Textarea,
  TextInput,
} from '@mantine/core'
import { useNavigate } from '@tanstack/react-router'
import { type FormEvent, useState } from 'react'
import type { NewTask, ReviewDetail } from '~/api'
import { ProblemNotice } from '~/components/ProblemNotice'
import { useCreateTask } from '~/data/reviews'
import { columnsOf, SCALES } from '~/lib/ratings'

interface Props {
  review: ReviewDetail
  people: readonly string[]
  you: string | null
  onDone: () => void
}

/** Items from a file or pasted, a scale, who rates, and a sample where there are many. */
export function NewTaskForm({ review, people, you, onDone }: Props) {
  const navigate = useNavigate()
  const [title, setTitle] = useState('')
  const [instructions, setInstructions] = useState('')
  const [warning, setWarning] = useState('')
  const [csv, setCsv] = useState('')
  const [scale, setScale] = useState(SCALES[0]?.name ?? '')
  const [unsure, setUnsure] = useState(true)
  const [raters, setRaters] = useState<string[]>([])
  const [size, setSize] = useState<number | ''>('')
  const [by, setBy] = useState('')
  const create = useCreateTask(review.id, you, (task) => {
    onDone()
    navigate({ to: '/reviews/$id/tasks/$task', params: { id: review.id, task: String(task.id) } })
  })
  const { hidden, problem } = columnsOf(csv)
  const chosen = SCALES.find((one) => one.name === scale) ?? SCALES[0]
  const ready = title.trim() && csv.trim() && !problem && raters.length > 0 && chosen
  const submit = (event: FormEvent) => {
    event.preventDefault()
    if (!ready || !chosen) return
    const body: NewTask = {
      title: title.trim(),
      instructions,
      warning,
      csv,
      scale: { points: chosen.points, level: chosen.level, unsure },
      raters,
      sample: size === '' ? null : { size, by: by || null, allocation: 'equal' },
    }
    create.mutate(body)
  }
  return (
    <form onSubmit={submit}>
      <Stack gap="sm">
        <TextInput
          label="Title"
          required
          maxLength={200}
          value={title}
          onChange={(event) => setTitle(event.currentTarget.value)}
        />
        <Textarea
          label="Question to the raters"
          autosize
          minRows={2}
          maxLength={4000}
          value={instructions}
          onChange={(event) => setInstructions(event.currentTarget.value)}
        />
        <TextInput
          label="Warning"
          description="If given, texts stay covered until a rater uncovers them."
          maxLength={1000}
          value={warning}
          onChange={(event) => setWarning(event.currentTarget.value)}
        />
        <Textarea
          label="Items, as CSV"
          description="The first line names the columns. “content” is what raters see; all others, such as method or score, stay hidden until the task is closed."
          required
          autosize
          minRows={4}
          maxRows={12}
          value={csv}
          error={csv.trim() ? problem : undefined}
          placeholder={'content,method\n"Good morning",dp_sgd'}
          onChange={(event) => setCsv(event.currentTarget.value)}
        />
        <Group gap="xs">
          <FileButton
            accept=".csv,text/csv"
            inputProps={{ 'aria-label': 'CSV file with items' }}
            onChange={(file) => {
              file?.text().then(setCsv)
            }}
          >
            {(props) => (
              <Button size="xs" variant="default" {...props}>
                Take a file
              </Button>
            )}
          </FileButton>
          {csv.trim() && !problem && (
            <Text size="xs" c="dimmed">
              Hidden: {hidden.join(', ') || 'nothing'}.
            </Text>
          )}
        </Group>
        <Group gap="sm" align="flex-end">
          <NativeSelect
            label="Scale"
            value={scale}
            data={SCALES.map((one) => ({ value: one.name, label: one.title }))}
            onChange={(event) => setScale(event.currentTarget.value)}
          />
          <Switch
            label="“Unsure” is an answer"
            mb={8}
            checked={unsure}
            onChange={(event) => setUnsure(event.currentTarget.checked)}
          />
        </Group>
        <TagsInput
          label="Raters"
          description="Names; two or more are needed for an agreement. Whoever made the items is not blind."
          required
          data={[...people]}
          value={raters}
          onChange={setRaters}
        />
        <Group gap="sm" align="flex-end">
          <NumberInput
            label="Draw a sample of"
            description="Empty: all items"
            w={160}
            min={1}
            max={2000}
            allowDecimal={false}
            value={size}
            onChange={(next) => setSize(typeof next === 'number' ? next : '')}
          />
          {size !== '' && hidden.length > 0 && (
            <NativeSelect
              label="Equally from each"
              value={by}
              data={[{ value: '', label: 'no stratum' }, ...hidden]}
              onChange={(event) => setBy(event.currentTarget.value)}
            />
          )}
        </Group>
        {create.error && <ProblemNotice error={create.error} />}
        <Group gap="xs">
          <Button type="submit" disabled={!ready} loading={create.isPending}>
            Ask for ratings
          </Button>
          <Button variant="default" onClick={onDone}>
            Not now
          </Button>
        </Group>
      </Stack>
    </form>
  )
}
