import { Stack, Text } from '@mantine/core'
import { Fold } from '~/components/Fold'
import classes from './GaussianTask.module.css'

/** What is computed, for somebody who has not read the derivation. */
export function Explanation() {
  return (
    <Fold label="What is computed here">
      <Stack gap="sm" maw={720}>
        <Text size="sm">
          Two classes, equally frequent; a row of class +1 is μ plus noise, a row of class −1 is −μ plus
          noise. The standard model is the mean of the training rows, each turned by its label. The robust
          model is what is best if every row may be moved by up to ε: the same mean, with every coordinate
          shrunk by ε and those smaller than ε set to zero (or, against moves of bounded length, shortened as
          a whole).
        </Text>
        <Text size="sm">
          The attacker sees how clearly a row is on its side, its margin, and guesses that rows with large
          margins were trained on. A training row has pulled the model towards itself, so its margin is
          larger, for the mean by dσ²/n. Whether that betrays it depends on how much margins vary.
        </Text>
        <ul className={classes.formula}>
          <Text size="sm" component="li">
            Robust training <b>leaks less</b> where many coordinates carry nothing but noise: they are what
            members share with the model, and shrinking removes them.
          </Text>
          <Text size="sm" component="li">
            It <b>leaks more</b> where most coordinates carry signal and there are enough rows: shrinking then
            takes signal away and keeps the noise that members share.
          </Text>
          <Text size="sm" component="li">
            The margin gap always shrinks. It alone does not say who leaks more, since robust margins are
            shorter, too.
          </Text>
        </ul>
        <Text size="sm">
          For one trained model everything is a closed form. Over trainings it is an exact integral or a
          quadrature whose largest error stands below each figure. Points are trainings that were simulated
          row by row; their attack uses the threshold of the closed form. The derivation is in
          docs/gaussian.md. The task is that of Hayes (2020), arXiv 2006.04622.
        </Text>
      </Stack>
    </Fold>
  )
}
