import { MultiSelect, Select, Skeleton } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import type { ReviewDetail } from '~/api'
import { ProblemNotice } from '~/components/ProblemNotice'
import { comparisonQuery } from '~/data/reviews'
import type { ReviewView } from '~/lib/reviewViews'
import { useAbout } from './About'
import { ComparedMetrics } from './ComparedMetrics'
import { ComparedParameters } from './ComparedParameters'
import { ComparedTests } from './ComparedTests'
import { ReviewCharts } from './ReviewCharts'
import classes from './ReviewPage.module.css'

const route = getRouteApi('/reviews/$id')

/** The frozen settings side by side; which metrics and groups is in the address. */
export function ComparisonTab({ review }: { review: ReviewDetail }) {
  const view = route.useSearch()
  const navigate = route.useNavigate()
  const { names } = useAbout()
  const split = view.split ?? 'test'
  const metric = view.metrics ?? []
  const subgroup = view.groups ?? []
  const query = useQuery(comparisonQuery(review.id, { split, metric, subgroup, tests: view.tests }))
  const set = (part: ReviewView) => navigate({ search: (old) => ({ ...old, ...part }), resetScroll: false })
  const comparison = query.data
  if (query.error && !comparison) return <ProblemNotice error={query.error} onRetry={() => query.refetch()} />
  if (!comparison) return <Skeleton height={520} aria-label="Loading the comparison" />
  const shown = [...new Set(comparison.rows.map((row) => row.metric))]
  const groups = [...new Set(comparison.available.flatMap((one) => one.subgroups))]
  return (
    <div className={classes.main} aria-busy={query.isPlaceholderData || undefined}>
      <ComparedTests comparison={comparison} />
      <ComparedParameters comparison={comparison} />
      <div className={classes.status} style={{ marginBottom: 0 }}>
        <MultiSelect
          size="xs"
          label="Metrics"
          style={{ flex: '2 1 240px' }}
          data={comparison.available.map((one) => ({ value: one.metric, label: one.title }))}
          value={metric.length ? metric : shown}
          searchable
          hidePickedOptions
          maxValues={20}
          onChange={(next) => set({ metrics: next.length ? next : undefined })}
        />
        <MultiSelect
          size="xs"
          label="Groups"
          placeholder={subgroup.length ? undefined : 'All'}
          style={{ flex: '2 1 200px' }}
          data={groups.map((name) => ({ value: name, label: names.subgroup(name) }))}
          value={subgroup}
          searchable
          hidePickedOptions
          onChange={(next) => set({ groups: next.length ? next : undefined })}
        />
        <Select
          size="xs"
          label="Split"
          w={110}
          data={['test', 'validation', 'train']}
          value={split}
          allowDeselect={false}
          onChange={(next) => set({ split: next === 'test' ? undefined : (next as 'train') })}
        />
        <Select
          size="xs"
          label="Tests"
          w={150}
          data={[
            { value: 'primary', label: 'primary figures' },
            { value: 'all', label: 'all figures shown' },
          ]}
          value={view.tests === 'all' || metric.length || subgroup.length ? 'all' : 'primary'}
          disabled={metric.length + subgroup.length > 0}
          allowDeselect={false}
          onChange={(next) => set({ tests: next === 'all' ? 'all' : undefined })}
        />
      </div>
      <ComparedMetrics comparison={comparison} />
      <ReviewCharts review={review} comparison={comparison} />
    </div>
  )
}
