import { Button, Group, Text } from '@mantine/core'
import { useHotkeys } from '@mantine/hooks'
import { ReportMenu } from '~/components/ReportMenu'
import { plural } from '~/lib/format'
import { MOST_NUMBERS, stringifySearch } from '~/lib/search'
import classes from './ExplorePage.module.css'

interface Props {
  jobs: readonly string[]
  selected: readonly number[]
  /** Names of the settings that are known, by setting. */
  labels: ReadonlyMap<number, string>
  /** Results that finished later are not drawn, nor reported. */
  asOf?: string
  onClear: () => void
}

/** Settings compared side by side in a review, at most. */
const MOST_COMPARED = 6

/** What is selected, and what can be done with it; Escape clears it. */
export function SelectionBar({ jobs, selected, labels, asOf, onClear }: Props) {
  useHotkeys([['Escape', () => selected.length > 0 && onClear()]])
  const names = selected.flatMap((one) => labels.get(one) ?? [])
  const few = selected.length <= MOST_COMPARED
  const elsewhere = labels.size > 0 ? selected.length - names.length : 0
  return (
    <div aria-live="polite">
      {selected.length > 0 && (
        <section className={classes.bar} aria-label="Selection">
          <div style={{ minWidth: 0, flex: '1 1 240px' }}>
            <Text size="sm" fw={600}>
              {plural(selected.length, 'setting')} selected
              {selected.length === MOST_NUMBERS && ', as many as an address keeps'}
            </Text>
            <div className={classes.names} title={names.join('; ')}>
              {names.slice(0, 4).join('; ')}
              {names.length > 4 && `; and ${names.length - 4} more`}
            </div>
            {elsewhere > 0 && (
              <Text size="xs" c="dimmed">
                {elsewhere === selected.length ? 'Not' : `${elsewhere} not`} drawn in this view: of another
                study, filtered out, or measured later.
              </Text>
            )}
          </div>
          <Group gap="xs">
            <Button
              size="xs"
              component="a"
              disabled={!few}
              title={few ? undefined : `A review compares at most ${MOST_COMPARED} settings.`}
              href={`/reviews/new${stringifySearch({ jobs, settings: selected })}`}
            >
              Start a review
            </Button>
            <ReportMenu jobs={jobs} settings={selected} asOf={asOf} size="xs" />
            <Button size="xs" variant="default" onClick={onClear}>
              Clear (Esc)
            </Button>
          </Group>
        </section>
      )}
    </div>
  )
}
