import { List, Loader, Select, SimpleGrid, Stack, Text, useComputedColorScheme } from '@mantine/core'
import { useDebouncedValue, useMediaQuery } from '@mantine/hooks'
import { useQuery } from '@tanstack/react-query'
import { useEffect, useRef, useState } from 'react'
import { NARROW } from '~/charts/FigureCard'
import { FigurePanel, NARROW_SCREEN } from '~/charts/FigurePanel'
import { Panel } from '~/components/Panel'
import { ProblemNotice } from '~/components/ProblemNotice'
import { problemOf } from '~/data/http'
import { gaussianQuery } from '~/data/queries'
import { number } from '~/lib/format'
import type { GlossaryTerm } from '~/lib/glossary'
import type { GaussianView } from '~/lib/views'
import { Explanation } from './Explanation'
import { complaintsOf, type Fields, filled, type NumberName, part, read, slid } from './fields'
import classes from './GaussianTask.module.css'
import { NumberControl } from './NumberControl'
import { ValuesTable } from './ValuesTable'

interface Props {
  view: GaussianView
  onView: (view: GaussianView) => void
}

const CONTROLS: [NumberName, string, GlossaryTerm][] = [
  ['n', 'Training rows n', 'train_rows'],
  ['d', 'Coordinates d', 'dimensions'],
  ['k', 'Informative coordinates', 'informative_coordinates'],
  ['sigma', 'Noise σ', 'noise_level'],
  ['mu', 'Signal μ', 'signal'],
  ['eps', 'Perturbation ε', 'perturbation'],
]

const MEASURES = [
  { value: 'auc', label: 'AUC' },
  { value: 'advantage', label: 'Advantage' },
  { value: 'tpr_1', label: 'TPR at 1 % FPR' },
  { value: 'tpr_01', label: 'TPR at 0.1 % FPR' },
  { value: 'gap', label: 'Margin gap' },
]

const FIGURES = [
  { label: 'Leakage along training rows', table: 'beside' },
  { label: 'Leakage along ε', table: 'beside' },
  { label: 'Accuracy along training rows', table: 'folded' },
  { label: 'Accuracy along ε', table: 'folded' },
] as const

/** Theory and simulation at one setting, moving together with the sliders; the address follows. */
export function GaussianTask({ view, onView }: Props) {
  const [fields, setFields] = useState<Fields>(filled(view))
  const [settled] = useDebouncedValue(fields, 120)
  const address = useRef(JSON.stringify(part(fields)))
  const follow = useRef(onView)
  follow.current = onView

  useEffect(() => {
    const next = part(settled)
    if (JSON.stringify(next) === address.current) return
    address.current = JSON.stringify(next)
    follow.current(next)
  }, [settled])

  // Another link to this page, or the browser's way back.
  const seen = JSON.stringify(part(filled(view)))
  useEffect(() => {
    if (seen === address.current) return
    address.current = seen
    setFields(filled(JSON.parse(seen) as GaussianView))
  }, [seen])

  const theme = useComputedColorScheme('light')
  const narrow = useMediaQuery(NARROW_SCREEN, false, { getInitialValueInEffect: false })
  const { request, complaints } = read(settled)
  const query = useQuery(gaussianQuery(request && { ...request, theme, width: narrow ? NARROW : undefined }))
  // A setting that is refused leaves what is shown as it was.
  const latest = useRef(query.data)
  if (query.data) latest.current = query.data
  const answer = latest.current
  const refused = request && query.error ? complaintsOf(problemOf(query.error).problems ?? []) : {}
  const errors = { ...refused, ...complaints }
  const elsewhere = request && query.error && Object.keys(refused).length === 0

  const choice = <Name extends 'as' | 'moves' | 'measure'>(
    name: Name,
    label: string,
    data: { value: string; label: string }[],
  ) => (
    <Select
      label={label}
      data={data}
      value={fields[name]}
      allowDeselect={false}
      onChange={(value) => value && setFields((old) => ({ ...old, [name]: value }))}
    />
  )

  return (
    <Stack gap="md">
      <Panel
        title="Setting"
        aside={
          <Loader
            size="xs"
            className={classes.busy}
            data-busy={query.isFetching || undefined}
            aria-hidden={!query.isFetching}
            aria-label="Working it out"
          />
        }
      >
        <SimpleGrid cols={{ base: 2, sm: 3, xl: 6 }} spacing="md">
          {CONTROLS.map(([name, label, term]) => (
            <NumberControl
              key={name}
              name={name}
              label={label}
              term={term}
              fields={fields}
              error={errors[name]}
              onType={(text) => setFields((old) => ({ ...old, [name]: text }))}
              onSlide={(place) => setFields((old) => slid(old, name, place))}
            />
          ))}
        </SimpleGrid>
        <SimpleGrid cols={{ base: 1, xs: 3 }} spacing="md" mt="md">
          {choice('as', 'Signal is meant', [
            { value: 'coordinate', label: 'per coordinate' },
            { value: 'norm', label: 'as the norm of all' },
          ])}
          {choice('moves', 'Perturbations move', [
            { value: 'linf', label: 'each coordinate by up to ε' },
            { value: 'l2', label: 'the row as a whole by up to ε' },
          ])}
          {choice('measure', 'Leakage measured as', MEASURES)}
        </SimpleGrid>
        <Text size="sm" c="dimmed" mt="sm" className="tabular">
          {answer && !Object.keys(errors).length ? (
            <>
              μ is {number(answer.mean)} in each informative coordinate, its norm {number(answer.norm)}; the
              classes are {number((2 * answer.norm) / (request?.sigma ?? 1))} standard deviations apart.
            </>
          ) : Object.keys(errors).length ? (
            answer ? (
              'Correct the marked fields; what is shown is of the setting before.'
            ) : (
              'Correct the marked fields.'
            )
          ) : (
            'Working it out …'
          )}
        </Text>
        {answer && answer.notes.length > 0 && (
          <List size="sm" mt="xs" spacing={4} maw={900}>
            {answer.notes.map((note) => (
              <List.Item key={note}>{note}</List.Item>
            ))}
          </List>
        )}
      </Panel>
      {elsewhere && <ProblemNotice error={query.error} onRetry={() => query.refetch()} />}
      {(answer || query.isPending) &&
        FIGURES.slice(0, 1).map(({ label, table }, place) => (
          <FigurePanel
            key={label}
            label={label}
            table={table}
            figure={answer?.figures[place]}
            view={`${label} ${fields.measure}`}
            pending={query.isPending}
            error={null}
            onRetry={() => query.refetch()}
          />
        ))}
      {answer && (
        <Panel>
          <ValuesTable answer={answer} />
        </Panel>
      )}
      {answer &&
        FIGURES.slice(1).map(({ label, table }, place) => (
          <FigurePanel
            key={label}
            label={label}
            table={table}
            figure={answer.figures[place + 1]}
            view={`${label} ${fields.measure}`}
            pending={false}
            error={null}
            onRetry={() => query.refetch()}
          />
        ))}
      <Explanation />
    </Stack>
  )
}
