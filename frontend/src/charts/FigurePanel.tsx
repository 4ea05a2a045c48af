import { Group, Skeleton, Stack, Text, Title } from '@mantine/core'
import { useMediaQuery } from '@mantine/hooks'
import { IconChartDots } from '@tabler/icons-react'
import type { ReactNode } from 'react'
import type { Figure } from '~/api'
import { Fold } from '~/components/Fold'
import { Panel } from '~/components/Panel'
import { ProblemNotice } from '~/components/ProblemNotice'
import { type Chosen, clicked } from '~/lib/selection'
import { heightOf } from './adapt'
import { DownloadMenu } from './DownloadMenu'
import classes from './FigureCard.module.css'
import { FigureTable } from './FigureTable'
import { Plot } from './Plot'

/** How a figure is shown, wherever it comes from. */
export interface FigureLook {
  /** Read before the figure has arrived, and by assistive technology. */
  label: string
  controls?: ReactNode
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

interface Props extends FigureLook {
  figure: Figure | undefined
  /** Names what is drawn; the reader's zoom is kept while it stays the same. */
  view: string
  pending: boolean
  /** The figure is of an earlier question. */
  stale?: boolean
  error: unknown
  onRetry: () => void
}

export const NARROW_SCREEN = '(max-width: 36em)'

/** A figure that the caller has: finding, menus, picture, caption, table. */
export function FigurePanel(props: Props) {
  const { figure, label, controls, growing, height = 420, table = 'folded', order = 2 } = props
  const narrow = useMediaQuery(NARROW_SCREEN, false, { getInitialValueInEffect: false })
  const drawn = figure && !figure.empty
  const { chosen, onChoose } = props
  const rows = {
    chosen,
    onToggle: onChoose && ((setting: number) => onChoose(clicked(chosen ?? new Set(), [setting], true))),
  }
  return (
    <Panel className={classes.card} aria-label={label}>
      <Group justify="space-between" align="flex-start" wrap="nowrap" gap="sm">
        {figure || props.error ? (
          <Title order={order} className={classes.finding}>
            {figure?.title ?? label}
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
      {Boolean(props.error) && !figure && <ProblemNotice error={props.error} onRetry={props.onRetry} />}
      {props.pending && <Skeleton height={height} mt="sm" />}
      {figure?.empty && <Nothing text={figure.empty} height={height} />}
      {drawn && (
        <div className={classes.body} data-beside={table === 'beside' || undefined}>
          <Stack gap={6} className={classes.picture} data-stale={props.stale || undefined}>
            <Plot
              figure={figure}
              view={props.view}
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
