import { type ReactNode, useState } from 'react'
import classes from './Fold.module.css'

interface Props {
  label: ReactNode
  children: ReactNode
  open?: boolean
  /** Told when it opens, for content that is asked for only then. */
  onOpen?: () => void
}

/** Folded content that works without a script and opens when a search on the page finds it. */
export function Fold({ label, children, open = false, onOpen }: Props) {
  const [opened, setOpened] = useState(open)
  const [before, setBefore] = useState(open)
  // A reason to open it opens it; when the reason goes away, what somebody reads does not fold up by itself.
  if (open !== before) {
    setBefore(open)
    if (open) setOpened(true)
  }
  return (
    <details
      className={classes.fold}
      open={opened}
      onToggle={(event) => {
        setOpened(event.currentTarget.open)
        if (event.currentTarget.open) onOpen?.()
      }}
    >
      <summary className={classes.summary}>{label}</summary>
      <div className={classes.body}>{children}</div>
    </details>
  )
}
