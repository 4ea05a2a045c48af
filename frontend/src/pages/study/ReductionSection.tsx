import { Select, useComputedColorScheme } from '@mantine/core'
import { useMediaQuery } from '@mantine/hooks'
import { useQuery } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import type { JobDetail } from '~/api'
import { MetricMenu } from '~/charts/AxisMenus'
import { useMetric } from '~/charts/useAxes'
import { Panel } from '~/components/Panel'
import { catalogueQuery, isLive } from '~/data/queries'
import { among } from '~/lib/axes'
import { words } from '~/lib/format'
import { BetweenMenu, useBetween } from './BetweenMenu'
import { ClaimFigure } from './ClaimFigure'
import { reductionsQuery } from './claims'

const route = getRouteApi('/studies/$id')

/** What reductions are relative to where the address names no method of the study. */
const USUAL = 'dp_sgd'

/** How much smaller each method's loss gap, or another metric, is than another's; only where there are two private methods. */
export function ReductionSection({ job }: { job: JobDetail }) {
  const { data } = useQuery(catalogueQuery)
  const plugins = (data?.plugins ?? []).filter((plugin) => plugin.kind === 'method' && plugin.method?.private)
  const options = [...new Set(job.methods)]
    .map((name) => plugins.find((plugin) => plugin.name === name))
    .filter((plugin) => plugin !== undefined)
    .map((plugin) => ({ value: plugin.name, label: plugin.title ?? words(plugin.name) }))
  return options.length < 2 ? null : <Reductions job={job} options={options} />
}

function Reductions({ job, options }: { job: JobDetail; options: { value: string; label: string }[] }) {
  const theme = useComputedColorScheme('light')
  const narrow = useMediaQuery('(max-width: 36em)', false, { getInitialValueInEffect: false })
  const { against, compared } = route.useSearch()
  const navigate = route.useNavigate()
  const subgroup = useBetween(job)
  const names = options.map((option) => option.value)
  const reference = against && names.includes(against) ? against : among(USUAL, names)
  const { metric, ready } = useMetric(compared, 'loss_gap')
  const look = { metric, reference, subgroup, theme, width: narrow ? 340 : undefined }
  const query = useQuery({ ...reductionsQuery(job.id, look), enabled: ready })
  return (
    <Panel aria-label="Methods against each other">
      <ClaimFigure
        name={`reductions ${metric} ${reference} ${subgroup}`}
        figure={query.data}
        error={query.error}
        onRetry={() => query.refetch()}
        growing={isLive(job.status)}
        controls={
          <>
            <Select
              size="xs"
              w={{ base: '100%', sm: 210 }}
              label="Compared with"
              data={options}
              value={reference ?? null}
              allowDeselect={false}
              onChange={(next) =>
                next && navigate({ search: (old) => ({ ...old, against: next }), resetScroll: false })
              }
            />
            <MetricMenu
              label="Metric"
              value={metric}
              onChange={(next) =>
                navigate({ search: (old) => ({ ...old, compared: next }), resetScroll: false })
              }
            />
            <BetweenMenu job={job} />
          </>
        }
      />
    </Panel>
  )
}
