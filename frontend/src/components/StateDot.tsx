import type { ReactNode } from 'react'
import classes from './StateDot.module.css'

export type Tone = 'good' | 'caution' | 'alarm' | 'unknown'

/** A word with a coloured dot; the word says it all. */
export function StateDot({ tone, children }: { tone: Tone; children: ReactNode }) {
  return (
    <span className={classes.state} data-tone={tone}>
      {children}
    </span>
  )
}
