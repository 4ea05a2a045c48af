import type { ReactNode } from 'react'
import classes from './Fold.module.css'

interface Props {
  label: ReactNode
  children: ReactNode
  open?: boolean
  /** Told when it opens, for content that is asked for only then. */
  onOpen?: () => void
}

/** Folded content that works without a script and opens when a search on the page finds it. */
export function Fold({ label, children, open, onOpen }: Props) {
  return (
    <details
      className={classes.fold}
      open={open}
      onToggle={(event) => event.currentTarget.open && onOpen?.()}
    >
      <summary className={classes.summary}>{label}</summary>
      <div className={classes.body}>{children}</div>
    </details>
  )
}
