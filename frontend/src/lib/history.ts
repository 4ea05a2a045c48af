import { subgroupTitle, words } from './format'
import type { GlossaryTerm } from './glossary'

/** Quantities along training, in the words of the figures, with what explains them. */
const QUANTITIES: Record<string, { title: string; term?: GlossaryTerm }> = {
  threshold: { title: 'Clipping threshold', term: 'clipping' },
  upper_threshold: { title: 'Upper threshold', term: 'upper_threshold' },
  train_loss: { title: 'Training loss' },
  validation_loss: { title: 'Validation loss' },
  validation_accuracy: { title: 'Validation accuracy' },
  share_clipped: { title: 'Gradients longer than the sensitivity', term: 'share_clipped' },
  gradient_kept: { title: 'Mean factor on gradients', term: 'gradient_kept' },
}

/** `threshold[sex=Female]` is the threshold of women. */
export function historyTitle(series: string): string {
  const [name = '', group] = series.split('[')
  const title = QUANTITIES[name]?.title ?? words(name)
  return group ? `${title}, ${subgroupTitle(group.replace(/\]$/, ''))}` : title
}

export function historyTerm(series: string): GlossaryTerm | undefined {
  return QUANTITIES[series.split('[')[0] ?? '']?.term
}
