import { Group, Skeleton, Stack, Text, Title } from '@mantine/core'
import type { ReactNode } from 'react'
import type { Figure } from '~/api'
import { heightOf } from '~/charts/adapt'
import { DownloadMenu } from '~/charts/DownloadMenu'
import card from '~/charts/FigureCard.module.css'
import { FigureTable } from '~/charts/FigureTable'
import { Plot } from '~/charts/Plot'
import { Fold } from '~/components/Fold'
import { ProblemNotice } from '~/components/ProblemNotice'

interface Props {
  name: string
  figure?: Figure
  error: unknown
  onRetry: () => void
  controls?: ReactNode
  growing?: boolean
  order?: 2 | 3
}

/** The inside of a figure's card: finding, menus, picture, caption, table. */
export function ClaimFigure({ name, figure, error, onRetry, controls, growing, order = 2 }: Props) {
  if (!figure) return error ? <ProblemNotice error={error} onRetry={onRetry} /> : <Skeleton height={380} />
  return (
    <div className={card.card}>
      <Group justify="space-between" align="flex-start" wrap="nowrap" gap="sm">
        <Title order={order} className={card.finding}>
          {figure.title}
        </Title>
        {!figure.empty && <DownloadMenu figure={figure} />}
      </Group>
      {controls && <div className={card.controls}>{controls}</div>}
      {figure.empty ? (
        <Text size="sm" c="dimmed">
          {figure.empty}
        </Text>
      ) : (
        <div className={card.body}>
          <Stack gap={6} className={card.picture}>
            <Plot figure={figure} view={name} growing={growing} height={heightOf(figure.figure, 420)} />
            <Text size="xs" c="dimmed" className="tabular">
              {figure.caption}
            </Text>
          </Stack>
          <div className={card.numbers}>
            <Fold label={`Table of these ${figure.rows.length} values`}>
              <FigureTable figure={figure} />
            </Fold>
          </div>
        </div>
      )}
    </div>
  )
}
