/** The settings behind runs: everything of a run but its seed. Pure. */
import type { Run } from '~/api'
import { number, paramValue } from './format'
import { paramTitle, sweptParams } from './runs'

export interface Setting {
  id: number
  job: string
  method: string
  epsilon: number | null
  /** Values of what differs between settings of its method: "learning rate 0.2". */
  differs: string[]
  /** Runs with figures. */
  measured: number
  runs: number
  degenerate: boolean
}

/** Settings of a study's runs, in the order of their first run. */
export function settingsOf(job: string, runs: readonly Run[]): Setting[] {
  const swept = sweptParams(runs)
  const found = new Map<number, Setting>()
  for (const run of runs) {
    const setting = found.get(run.setting_id) ?? {
      id: run.setting_id,
      job,
      method: run.method,
      epsilon: run.epsilon,
      differs: swept
        .filter((key) => run.params[key] !== undefined)
        .map((key) => `${paramTitle(key)} ${paramValue(run.params[key])}`),
      measured: 0,
      runs: 0,
      degenerate: false,
    }
    setting.runs += 1
    setting.measured += Number(run.status === 'succeeded')
    setting.degenerate ||= run.degenerate
    found.set(run.setting_id, setting)
  }
  return [...found.values()]
}

/** "DP-SGD, ε = 2, learning rate 0.2". */
export function settingLabel(setting: Setting, titles: ReadonlyMap<string, string>): string {
  return [
    titles.get(setting.method) ?? setting.method,
    setting.epsilon === null ? 'not private' : `ε = ${number(setting.epsilon)}`,
    ...setting.differs,
  ].join(', ')
}

/** Every word has to be found, in any order. */
export function findSettings(
  settings: readonly Setting[],
  wanted: string,
  titles: ReadonlyMap<string, string>,
): Setting[] {
  const words = wanted.toLowerCase().split(/\s+/).filter(Boolean)
  return settings.filter((one) => {
    const text = `${settingLabel(one, titles)} ${one.method} ε=${one.epsilon} epsilon=${one.epsilon} ${one.id}`
    return words.every((word) => text.toLowerCase().includes(word))
  })
}
