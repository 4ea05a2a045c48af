import { Tooltip } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { catalogueQuery } from '~/data/queries'
import { type GlossaryTerm, glossary } from '~/lib/glossary'
import classes from './Term.module.css'

interface ExplainedProps {
  text: string | undefined
  children: ReactNode
}

/** Words with a one-sentence explanation on hover, focus and touch. */
export function Explained({ text, children }: ExplainedProps) {
  if (!text) return <>{children}</>
  return (
    <Tooltip label={text} events={{ hover: true, focus: true, touch: true }}>
      <span className={classes.term} tabIndex={0}>
        {children}
      </span>
    </Tooltip>
  )
}

/** A term of the glossary. */
export function Term({ name, children }: { name: GlossaryTerm; children: ReactNode }) {
  return <Explained text={glossary[name]}>{children}</Explained>
}

/** A metric's title, explained as the catalogue explains it. */
export function MetricTerm({ name, children }: { name: string; children?: ReactNode }) {
  const { data } = useQuery(catalogueQuery)
  const metric = data?.metrics.find((entry) => entry.name === name)
  return (
    <Explained text={metric?.explanation}>{children ?? metric?.title ?? name.replaceAll('_', ' ')}</Explained>
  )
}
