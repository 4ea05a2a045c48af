import type { RunDetail } from '~/api'

/** The series that the figure of clipping draws, among all that a run's history has. */

const DRAWN = /^(gradient_(limit|cosine|length_kept|norm_p\d\d)|share_clipped_sample)$/

/** Whether a series has its place in the figure of clipping. Pure. */
export const isOfClipping = (series: string): boolean => DRAWN.test(series)

/** A cosine of "sex=Female & race=Black" tells of "sex & race": the partitions, single attributes first. Pure. */
export function partitionsOfHistory(history: RunDetail['history']): string[] {
  const found = history
    .filter((series) => series.name === 'gradient_cosine')
    .flatMap((series) => Object.keys(series.groups ?? {}))
    .map((group) => group.split(' & ').map((part) => part.split('=')[0]))
  const partitions = [...new Map(found.map((parts) => [parts.join(' & '), parts.length])).entries()]
  return partitions.sort((a, b) => a[1] - b[1]).map(([name]) => name)
}
