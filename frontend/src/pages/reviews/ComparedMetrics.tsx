import { Text } from '@mantine/core'
import type { ComparedRow, Comparison, SnapshotCell } from '~/api'
import { Panel } from '~/components/Panel'
import { Explained, Term } from '~/components/Term'
import { integer, interval, number } from '~/lib/format'
import { byMetric, worstOff } from '~/lib/reviews'
import { CommentOn } from './CommentOn'
import { SettingHead } from './ComparedParameters'
import classes from './Comparison.module.css'

/** Every chosen metric of every chosen subgroup: mean, interval, seeds and n of each setting. */
export function ComparedMetrics({ comparison }: { comparison: Comparison }) {
  const { settings, rows } = comparison
  return (
    <Panel title="Side by side">
      <Text size="xs" c="dimmed" mb="xs">
        Mean over seeds with its <Term name="interval">95 % interval</Term> (Student t), seeds and rows, on
        the {comparison.split} split. “best” and “worst off” compare means and are no test.
      </Text>
      <section className={classes.scroll} aria-label="Metrics of the settings" tabIndex={0}>
        <table className={classes.table}>
          <thead>
            <tr>
              <th scope="col">Metric and group</th>
              {settings.map((one, place) => (
                <th scope="col" key={one.setting_id}>
                  <SettingHead setting={one} place={place} />
                </th>
              ))}
            </tr>
          </thead>
          {byMetric(rows).map((group) => (
            <MetricRows key={group[0]?.metric} rows={group} comparison={comparison} />
          ))}
        </table>
      </section>
    </Panel>
  )
}

function MetricRows({ rows, comparison }: { rows: ComparedRow[]; comparison: Comparison }) {
  const { settings, split } = comparison
  const [first] = rows
  if (!first) return null
  const worst = worstOff(rows, settings)
  const better =
    first.higher_is_better === null ? '' : first.higher_is_better ? ', higher is better' : ', lower is better'
  return (
    <tbody>
      <tr className={classes.group}>
        <th scope="rowgroup" colSpan={settings.length + 1}>
          {first.title}
          <Text span size="xs" c="dimmed" fw={400}>
            {first.unit && ` ${first.unit}`}
            {better}
          </Text>{' '}
          <CommentOn anchor={{ kind: 'metric', metric: first.metric, split: split as 'test' }} />
        </th>
      </tr>
      {rows.map((row) => (
        <tr key={row.subgroup} className={row.small ? classes.small : undefined}>
          <th scope="row">
            {row.subgroup_title}
            {row.small && (
              <Explained text="Measured on so few rows that it says little.">
                <span className={classes.mark} data-tone="caution">
                  small group
                </span>
              </Explained>
            )}{' '}
            <CommentOn
              anchor={
                row.subgroup === 'all'
                  ? { kind: 'metric', metric: row.metric, split: split as 'test' }
                  : { kind: 'subgroup', subgroup: row.subgroup }
              }
            />
          </th>
          {row.cells.map((cell, place) => {
            const id = settings[place]?.setting_id ?? 0
            return (
              <td key={id}>
                <Cell cell={cell} />
                {row.best.includes(id) && settings.length > 1 && (
                  <span className={classes.mark} data-tone="good">
                    best
                  </span>
                )}
                {worst.some((one) => one.setting_id === id && one.subgroup === row.subgroup) && (
                  <span className={classes.mark} data-tone="caution">
                    worst off
                  </span>
                )}
              </td>
            )
          })}
        </tr>
      ))}
    </tbody>
  )
}

function Cell({ cell }: { cell: SnapshotCell | null }) {
  if (!cell || cell.mean === null) return <>not measured</>
  return (
    <>
      {number(cell.mean)}
      <span className={classes.sub}>{cell.low === null ? 'no interval' : interval(cell.low, cell.high)}</span>
      <span className={classes.sub}>
        {integer(cell.seeds)} {cell.seeds === 1 ? 'seed' : 'seeds'}
        {cell.n !== null && `, n ${integer(cell.n)}`}
      </span>
    </>
  )
}
