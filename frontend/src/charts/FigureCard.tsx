import { Group, Skeleton, Stack, Text, Title, useComputedColorScheme } from '@mantine/core'
import { useMediaQuery } from '@mantine/hooks'
import { IconChartDots } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { Fold } from '~/components/Fold'
import { Panel } from '~/components/Panel'
import { ProblemNotice } from '~/components/ProblemNotice'
import { figureQuery } from '~/data/queries'
import type { FigureName, FigureRequest } from '~/data/types'
import { type Chosen, clicked } from '~/lib/selection'
import { heightOf } from './adapt'
import { DownloadMenu } from './DownloadMenu'
import classes from './FigureCard.module.css'
import { FigureTable } from './FigureTable'
import { Plot } from './Plot'

interface Props {
  name: FigureName
  request: FigureRequest
  /** Of this review's snapshot, instead of studies. */
  review?: string
  /** Read before the figure has arrived, and by assistive technology. */
  label: string
  controls?: ReactNode
  /** False while it is not yet known what to ask for. */
  ready?: boolean
  growing?: boolean
  height?: number
  table?: 'folded' | 'beside'
  onSelectRun?: (id: string) => void
  /** Settings that are lit up; with `onChoose` marks and rows select. */
  chosen?: Chosen
  onChoose?: (chosen: Set<number>) => void
  drag?: 'zoom' | 'select' | 'lasso'
  /** Beside the download menu. */
  tools?: ReactNode
  order?: 2 | 3
}

/** Told to the server on a phone, which then writes labels on two lines. */
const NARROW = 340

/** A chart as a sentence with evidence: finding, menus, picture, caption, table. */
export function FigureCard(props: Props) {
  const {
    name,
    request,
    label,
    controls,
    growing,
    ready = true,
    height = 420,
    table = 'folded',
    order = 2,
  } = props
  const theme = useComputedColorScheme('light')
  const narrow = useMediaQuery('(max-width: 36em)', false, { getInitialValueInEffect: false })
  const query = useQuery({
    ...figureQuery(name, { ...request, theme, width: narrow ? NARROW : undefined }, props.review),
    enabled: ready,
  })
  const figure = query.data
  const drawn = figure && !figure.empty
  const { chosen, onChoose } = props
  const rows = {
    chosen,
    onToggle: onChoose && ((setting: number) => onChoose(clicked(chosen ?? new Set(), [setting], true))),
  }
  return (
    <Panel className={classes.card} aria-label={label}>
      <Group justify="space-between" align="flex-start" wrap="nowrap" gap="sm">
        {figure ? (
          <Title order={order} className={classes.finding}>
            {figure.title}
          </Title>
        ) : (
          <Skeleton height={22} width="60%" role="status" aria-label={`Loading: ${label}`} />
        )}
        {drawn && (
          <Group gap="xs" wrap="nowrap">
            {props.tools}
            <DownloadMenu figure={figure} chosen={props.chosen} />
          </Group>
        )}
      </Group>
      {controls && <div className={classes.controls}>{controls}</div>}
      {query.error && !figure && <ProblemNotice error={query.error} onRetry={() => query.refetch()} />}
      {query.isPending && <Skeleton height={height} mt="sm" />}
      {figure?.empty && <Nothing text={figure.empty} height={height} />}
      {drawn && (
        <div className={classes.body} data-beside={table === 'beside' || undefined}>
          <Stack gap={6} className={classes.picture} data-stale={query.isPlaceholderData || undefined}>
            <Plot
              figure={figure}
              view={JSON.stringify({ ...request, name })}
              growing={growing}
              height={height}
              onSelectRun={props.onSelectRun}
              chosen={props.chosen}
              onChoose={props.onChoose}
              drag={props.drag}
            />
            <Text size="xs" c="dimmed" className="tabular">
              {figure.caption}
            </Text>
          </Stack>
          {figure.rows.length > 0 && (
            <div className={classes.numbers}>
              {table === 'folded' ? (
                <Fold label={`Table of these ${figure.rows.length} values`}>
                  <FigureTable figure={figure} {...rows} />
                </Fold>
              ) : (
                <FigureTable
                  figure={figure}
                  maxHeight={narrow ? 320 : heightOf(figure.figure, height)}
                  {...rows}
                />
              )}
            </div>
          )}
        </div>
      )}
    </Panel>
  )
}

function Nothing({ text, height }: { text: string; height: number }) {
  return (
    <div className={classes.nothing} style={{ minHeight: Math.min(height, 260) }}>
      <IconChartDots size={28} stroke={1.3} aria-hidden />
      <Text size="sm" maw={420}>
        {text}
      </Text>
    </div>
  )
}
