/** The steps of the tour, in order. A step is one entry here and, on its control, the attribute `data-tour`. */
import { plural } from '~/lib/format'
import { doingNow } from '~/lib/progress'
import type { Facts } from './facts'

export interface Step {
  id: string
  title: string
  text: (facts: Facts) => string
  /** A word and what it means, for a step that explains how to read something. */
  points?: (facts: Facts) => readonly (readonly [string, string])[]
  /** The page that its control is on; absent: it speaks of no control. */
  page?: 'studies' | 'study'
  /** `data-tour` of its control. */
  control?: string
  /** What is happening now, read out as it changes. */
  now?: (facts: Facts) => string
  /** What has to happen before it goes on; null where nothing has to. */
  waitsFor?: (facts: Facts) => string | null
}

const live = ({ study }: Facts) => study?.status === 'queued' || study?.status === 'running'

export const STEPS: readonly Step[] = [
  {
    id: 'welcome',
    title: 'What Equipoise is',
    text: () =>
      'Equipoise trains the same model with and without privacy, many times, and shows what privacy costs and who pays. ' +
      'A few short steps lead from here to a decision.',
  },
  {
    id: 'run',
    title: 'Run a first study',
    page: 'studies',
    control: 'quickstart',
    text: ({ study }) =>
      study
        ? `There are studies here already: the tour goes on with “${study.name}”. The quickstart is under “New study”.`
        : 'Press “Run quickstart”. It trains four methods on census data at four privacy budgets and attacks every model.',
    waitsFor: ({ study }) => (study === null ? 'Goes on by itself as soon as the study is submitted.' : null),
  },
  {
    id: 'fill',
    title: 'Watch the curve fill',
    page: 'study',
    control: 'progress',
    text: (facts) => {
      const { study, workers } = facts
      if (!study) return 'There is no study to watch any more. Go back and run one.'
      if (study.status === 'failed' || study.status === 'cancelled')
        return study.finished > 0
          ? `The study was ${study.status === 'failed' ? 'ended by a problem' : 'cancelled'}; what it measured until then is kept.`
          : 'The study ended before it measured anything. The page says why; “Retry” starts it again.'
      if (study.status === 'queued' && workers === 0)
        return 'The study waits in the queue and no worker is online. Start one with “equipoise worker”.'
      if (study.status === 'queued') return 'The study waits for a worker, and starts by itself.'
      if (live(facts))
        return 'Each run is one training. Points appear in the figure as runs end; their intervals shrink with every seed.'
      return 'Every run has been measured; the curve is complete.'
    },
    now: ({ study }) => (study ? doingNow(study) : ''),
    waitsFor: ({ study }) =>
      study && study.finished > 0 ? null : 'Goes on when the first run has been measured.',
  },
  {
    id: 'read',
    title: 'Read the curve',
    page: 'study',
    control: 'tradeoff',
    text: () => 'The sentence above a figure says what its data support; the line below says what they are.',
    points: ({ reading }) => [
      [
        'Axes',
        [reading.y, reading.x].filter(Boolean).join('. Across: ') ||
          'Named in words, with the direction that is better',
      ],
      ['Points', 'means over seeds, one per setting; a curve joins the settings of one method.'],
      [
        'Bars and band',
        '95 % intervals of these means. Where they overlap widely, more seeds are needed to tell methods apart.',
      ],
      reading.baseline
        ? [
            'Dashed line',
            `${reading.baseline}: the same model without privacy. The distance to it is what privacy costs.`,
          ]
        : ['Dashed line', 'the same model without privacy, where a study trains it too.'],
    ],
  },
  {
    id: 'choose',
    title: 'Pick a setting',
    page: 'study',
    control: 'operating',
    text: () =>
      'Open “Operating point”, say what must hold, such as a limit on ε and on the worst group’s accuracy, and what ' +
      'should then be best. It says what meets that, why the rest does not, and keeps who chose what, and why.',
  },
  {
    id: 'review',
    title: 'Ask for a review',
    page: 'study',
    control: 'review',
    text: () =>
      '“Start a review” freezes the numbers of two to six settings. The people you name compare them, comment, and ' +
      'approve or object with a reason, in a history that shows any tampering.',
  },
  {
    id: 'report',
    title: 'Take it with you',
    page: 'study',
    control: 'report',
    text: ({ study }) =>
      'Under “Report” is the study as one file that needs no network, a model card of any setting, every measurement as ' +
      `CSV, and a bundle that runs the ${study ? plural(study.runs, 'run') : 'runs'} again elsewhere. That was the tour.`,
  },
]

/** Where a kept step is in the list; the first one where it is gone. */
export const placeOf = (id: string | undefined) =>
  Math.max(
    0,
    STEPS.findIndex((step) => step.id === id),
  )
