import { Switch } from '@mantine/core'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import type { Comparison, SnapshotSetting } from '~/api'
import { Letter } from '~/components/AnchorChip'
import { Fold } from '~/components/Fold'
import { Panel } from '~/components/Panel'
import { Term } from '~/components/Term'
import { integer, number } from '~/lib/format'
import { letter } from '~/lib/reviews'
import { CommentOn } from './CommentOn'
import classes from './Comparison.module.css'

/** What the settings are: privacy, runs, and every parameter, those that differ marked by a sign and in bold. */
export function ComparedParameters({ comparison }: { comparison: Comparison }) {
  const { settings, parameters } = comparison
  const [all, setAll] = useState(false)
  const shown = parameters.filter((one) => all || one.differs)
  const same = parameters.filter((one) => !one.differs).length
  return (
    <Panel
      title="What is compared"
      aside={
        same > 0 && (
          <Switch
            size="sm"
            label={`Also the ${same} that are equal`}
            checked={all}
            onChange={(event) => setAll(event.currentTarget.checked)}
          />
        )
      }
    >
      <section className={classes.scroll} aria-label="Settings and their parameters" tabIndex={0}>
        <table className={classes.table}>
          <thead>
            <tr>
              <th scope="col">Setting</th>
              {settings.map((one, place) => (
                <th scope="col" key={one.setting_id}>
                  <SettingHead setting={one} place={place} />
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            <Facts settings={settings} />
            {shown.map((one) => (
              <tr key={one.name} className={one.differs ? classes.differs : undefined}>
                <th scope="row">
                  {one.differs && <span title="These differ">≠ </span>}
                  {one.title}
                </th>
                {one.texts.map((text, place) => (
                  <td key={settings[place]?.setting_id ?? place}>{text ?? 'has none'}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </section>
      <Fold label="Runs, hashes and versions that were frozen">
        <Frozen settings={settings} />
      </Fold>
    </Panel>
  )
}

export function SettingHead({ setting, place }: { setting: SnapshotSetting; place: number }) {
  return (
    <span className={classes.head}>
      <span>
        <Letter>{letter(place)}</Letter>{' '}
        <CommentOn anchor={{ kind: 'setting', setting_ids: [setting.setting_id] }} />
      </span>
      {setting.label}
    </span>
  )
}

function Facts({ settings }: { settings: SnapshotSetting[] }) {
  const alarms = settings.some((one) => one.alarms.length > 0)
  return (
    <>
      <tr>
        <th scope="row">
          Claimed <Term name="epsilon">ε</Term>
        </th>
        {settings.map((one) => (
          <td key={one.setting_id}>{one.epsilon === null ? 'not private' : number(one.epsilon)}</td>
        ))}
      </tr>
      <tr>
        <th scope="row">Audited lower bound of ε</th>
        {settings.map((one) => (
          <td key={one.setting_id} className={one.alarms.length ? classes.alarm : undefined}>
            {audited(one)}
            {one.alarms.length > 0 && (
              <span className={classes.mark} data-tone="alarm">
                ε refuted
              </span>
            )}
          </td>
        ))}
      </tr>
      {alarms && (
        <tr>
          <th scope="row">Alarm</th>
          {settings.map((one) => (
            <td key={one.setting_id} className={classes.alarm}>
              {one.alarms.join(' ') || 'none'}
            </td>
          ))}
        </tr>
      )}
      <tr>
        <th scope="row">Runs</th>
        {settings.map((one) => (
          <td key={one.setting_id}>
            {integer(one.runs.length)}
            {one.diverged > 0 && (
              <span className={classes.mark} data-tone="caution">
                {one.diverged} diverged
              </span>
            )}
            {one.degenerate && (
              <span className={classes.mark} data-tone="caution">
                degenerate
              </span>
            )}
          </td>
        ))}
      </tr>
    </>
  )
}

/** The largest lower bound that an audit of any of its runs found. */
function audited(setting: SnapshotSetting): string {
  const bounds = setting.audits.flatMap((one) => (one.bound === null ? [] : [one.bound]))
  if (bounds.length === 0) return 'not audited'
  return `${number(Math.max(...bounds))} (${bounds.length} ${bounds.length === 1 ? 'audit' : 'audits'})`
}

function Frozen({ settings }: { settings: SnapshotSetting[] }) {
  return (
    <section className={classes.scroll} aria-label="Frozen runs" tabIndex={0}>
      <table className={classes.table}>
        <thead>
          <tr>
            <th scope="col">Setting and seed</th>
            <th scope="col">Run</th>
            <th scope="col">Status</th>
            <th scope="col">Configuration hash</th>
            <th scope="col">Data hash</th>
            <th scope="col">Versions</th>
          </tr>
        </thead>
        <tbody>
          {settings.flatMap((setting, place) =>
            setting.runs.map((run) => (
              <tr key={run.id}>
                <th scope="row">
                  {letter(place)}, seed {run.seed} <CommentOn anchor={{ kind: 'run', run_ids: [run.id] }} />
                </th>
                <td>
                  <Link to="/runs/$id" params={{ id: run.id }}>
                    {run.id.slice(0, 8)}
                  </Link>
                </td>
                <td>{run.status}</td>
                <td title={run.config_hash}>{run.config_hash.slice(0, 12)}</td>
                <td title={setting.data_hash ?? undefined}>{setting.data_hash?.slice(0, 12) ?? 'unknown'}</td>
                <td>
                  {Object.entries(setting.versions)
                    .map(([name, hash]) => `${name} ${hash.slice(0, 8)}`)
                    .join(', ')}
                </td>
              </tr>
            )),
          )}
        </tbody>
      </table>
    </section>
  )
}
