import { Button, Checkbox, Group, Skeleton, Text, TextInput } from '@mantine/core'
import { IconSearch } from '@tabler/icons-react'
import { useQueries, useQuery } from '@tanstack/react-query'
import { useMemo, useState } from 'react'
import { ProblemNotice } from '~/components/ProblemNotice'
import { catalogueQuery } from '~/data/queries'
import { settingsQuery } from '~/data/reviews'
import { findSettings, type Setting, settingLabel } from '~/lib/settings'
import classes from './NewReviewPage.module.css'

export const FEWEST = 2
export const MOST = 6

interface Props {
  jobs: string[]
  chosen: number[]
  onChange: (chosen: number[]) => void
}

/** Settings of the studies, searched and ticked; those that are chosen stay in view. */
export function SettingsPicker({ jobs, chosen, onChange }: Props) {
  const [wanted, setWanted] = useState('')
  const { data: catalogue } = useQuery(catalogueQuery)
  const queries = useQueries({ queries: jobs.map((id) => settingsQuery(id)) })
  const titles = useMemo(
    () =>
      new Map(catalogue?.plugins.filter((one) => one.kind === 'method').map((one) => [one.name, one.title])),
    [catalogue],
  )
  const all = useMemo(() => {
    const seen = new Map<number, Setting>()
    for (const query of queries) for (const one of query.data ?? []) seen.set(one.id, seen.get(one.id) ?? one)
    return [...seen.values()]
  }, [queries])
  const pending = queries.some((one) => one.isPending)
  const failed = queries.find((one) => one.error && !one.data)
  const picked = all.filter((one) => chosen.includes(one.id))
  const rest = findSettings(all, wanted, titles).filter((one) => !chosen.includes(one.id))
  const unknown = pending ? [] : chosen.filter((id) => !all.some((one) => one.id === id))
  const toggle = (id: number) =>
    onChange(chosen.includes(id) ? chosen.filter((one) => one !== id) : [...chosen, id])
  if (failed) return <ProblemNotice error={failed.error} onRetry={() => failed.refetch()} />
  return (
    <>
      <Group gap="sm" mt="sm" mb="xs" justify="space-between">
        <TextInput
          size="xs"
          aria-label="Search settings"
          placeholder="Search: method, ε=2, learning rate 0.1"
          leftSection={<IconSearch size={13} aria-hidden />}
          value={wanted}
          onChange={(event) => setWanted(event.currentTarget.value)}
          style={{ flex: '1 1 200px' }}
        />
        <Text size="sm" role="status" className="tabular">
          {chosen.length} of at most {MOST} chosen
        </Text>
      </Group>
      {pending && <Skeleton height={160} aria-label="Loading the settings" />}
      {unknown.length > 0 && (
        <Group gap="xs" mb="xs">
          <Text size="sm" c="red">
            Not in these studies: {unknown.join(', ')}.
          </Text>
          <Button
            size="compact-xs"
            variant="default"
            onClick={() => onChange(chosen.filter((id) => !unknown.includes(id)))}
          >
            Leave them out
          </Button>
        </Group>
      )}
      {!pending && (
        <ul className={classes.settings} aria-label="Settings">
          {[...picked, ...rest].slice(0, 200).map((one) => (
            <li key={one.id} className={classes.setting} data-chosen={chosen.includes(one.id) || undefined}>
              <Checkbox
                size="xs"
                checked={chosen.includes(one.id)}
                disabled={!chosen.includes(one.id) && chosen.length >= MOST}
                onChange={() => toggle(one.id)}
                label={settingLabel(one, titles)}
                description={`${one.measured} of ${one.runs} runs measured${one.degenerate ? ', predicts one class in some' : ''}`}
              />
            </li>
          ))}
        </ul>
      )}
      {rest.length > 200 && (
        <Text size="xs" c="dimmed" mt={4}>
          The first 200 of {rest.length} are shown: search for the rest.
        </Text>
      )}
    </>
  )
}
