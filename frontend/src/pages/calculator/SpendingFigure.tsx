import { Select, useComputedColorScheme } from '@mantine/core'
import { useMediaQuery } from '@mantine/hooks'
import { useQuery } from '@tanstack/react-query'
import type { AccountingRequest } from '~/api'
import { NARROW } from '~/charts/FigureCard'
import { FigurePanel, NARROW_SCREEN } from '~/charts/FigurePanel'
import { spendingQuery } from '~/data/queries'
import { number } from '~/lib/format'
import { drawnSigma, type Fields, spendingOf } from './fields'

interface Props {
  fields: Fields
  request: AccountingRequest
  onSigma: (sigma: string) => void
}

/** How one of the asked noise multipliers spends ε along the training, by the three accountants. */
export function SpendingFigure({ fields, request, onSigma }: Props) {
  const sigma = drawnSigma(fields, request)
  return sigma === undefined ? null : <Drawn {...{ fields, request, onSigma, sigma }} />
}

function Drawn({ request, onSigma, sigma }: Props & { sigma: number }) {
  const asked = spendingOf(request, sigma)
  const theme = useComputedColorScheme('light')
  const narrow = useMediaQuery(NARROW_SCREEN, false, { getInitialValueInEffect: false })
  const query = useQuery(spendingQuery({ ...asked, theme, width: narrow ? NARROW : undefined }))
  const sigmas = [...new Set(request.sigmas)].map((value) => ({ value: String(value), label: number(value) }))
  return (
    <FigurePanel
      figure={query.data}
      view={JSON.stringify(asked)}
      pending={query.isPending}
      stale={query.isPlaceholderData}
      error={query.error}
      onRetry={() => query.refetch()}
      label="ε along the training"
      height={380}
      controls={
        sigmas.length > 1 && (
          <Select
            size="xs"
            w={{ base: '100%', sm: 160 }}
            label="Noise multiplier σ"
            data={sigmas}
            value={String(sigma)}
            allowDeselect={false}
            onChange={(next) => next && onSigma(next)}
          />
        )
      }
    />
  )
}
