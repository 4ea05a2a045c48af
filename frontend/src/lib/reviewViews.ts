/** What the review pages keep in their addresses. */
import { list, name, oneOf, text } from './search'

type Raw = Record<string, unknown>

export const REVIEW_STATUSES = ['open', 'changes_requested', 'approved', 'rejected'] as const
export const REVIEW_TABS = ['comparison', 'ratings', 'history', 'members'] as const

export interface ReviewsView {
  status?: (typeof REVIEW_STATUSES)[number]
  text?: string
}

export const reviews = (raw: Raw): ReviewsView => ({
  status: oneOf(raw.status, REVIEW_STATUSES),
  text: text(raw.text)?.slice(0, 200),
})

/** A selection that is to become a review: from Explore, a study or a run. */
export interface NewReviewView {
  jobs?: string[]
  settings?: string[]
  /** Search parameters of the page that the selection was made on. */
  view?: string
  /** An operating point that was chosen. */
  point?: string
}

export const newReview = (raw: Raw): NewReviewView => ({
  jobs: list(raw.jobs)?.slice(0, 50),
  settings: list(raw.settings)?.filter((one) => /^[1-9]\d{0,8}$/.test(one)),
  view: text(raw.view)?.slice(0, 4000),
  point: name(raw.point)?.slice(0, 12),
})

export interface ReviewView {
  tab?: (typeof REVIEW_TABS)[number]
  split?: 'test' | 'validation' | 'train'
  metrics?: string[]
  groups?: string[]
  /** Whether all figures shown are tested, instead of the few primary ones. */
  tests?: 'all'
  /** Which threads are shown. */
  threads?: 'all' | 'resolved'
}

export const review = (raw: Raw): ReviewView => ({
  tab: oneOf(raw.tab, REVIEW_TABS),
  split: oneOf(raw.split, ['test', 'validation', 'train'] as const),
  metrics: list(raw.metrics)?.slice(0, 20),
  groups: list(raw.groups)?.slice(0, 100),
  tests: oneOf(raw.tests, ['all'] as const),
  threads: oneOf(raw.threads, ['all', 'resolved'] as const),
})
