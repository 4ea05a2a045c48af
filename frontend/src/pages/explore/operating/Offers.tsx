import { Button, Text, Title } from '@mantine/core'
import type { Constraint, Feasibility } from '~/api'
import { constraintsText } from '~/lib/operating'
import classes from './OperatingPoint.module.css'

interface Props {
  evaluation: Feasibility
  constraints: readonly Constraint[]
  onApply: (next: Constraint[]) => void
}

/** What moving a limit does, each with the button that does it. */
export function Offers({ evaluation, constraints, onApply }: Props) {
  const { sensitivity, nearest, weights } = evaluation
  if (sensitivity.length + nearest.length + weights.length === 0) return null
  const all = [
    ...nearest.map((one) => ({
      sentence: one.sentence,
      next: constraints.map((old, j) => ({ ...old, threshold: one.thresholds[j] ?? old.threshold })),
    })),
    ...sensitivity.map((one) => ({
      sentence: one.sentence,
      next: constraints.map((old, j) => (j === one.constraint ? { ...old, threshold: one.threshold } : old)),
    })),
  ]
  // Where nothing is feasible two sentences may say the same move: the first says it.
  const said = new Set<string | undefined>()
  const offers = all.filter(({ next }) => {
    const text = constraintsText(next)
    return !said.has(text) && said.add(text)
  })
  return (
    <section className={classes.part} aria-label="What the limits cost">
      <Title order={3} size="h5">
        What the limits cost
      </Title>
      {offers.map(({ sentence, next }) => (
        <div key={sentence} className={classes.offer}>
          <Text size="sm" className={classes.sentences}>
            {sentence}.
          </Text>
          <Button
            size="compact-sm"
            variant="default"
            flex="none"
            aria-label={`Apply: ${sentence}`}
            onClick={() => onApply(next)}
          >
            Apply
          </Button>
        </div>
      ))}
      {weights.map((one) => (
        <Text key={one.objective} size="sm" className={classes.sentences}>
          {one.sentence}.
        </Text>
      ))}
    </section>
  )
}
