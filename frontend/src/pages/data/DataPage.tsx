import { Skeleton, Stack } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { Empty } from '~/components/Empty'
import { PageHeader } from '~/components/PageHeader'
import { ProblemNotice } from '~/components/ProblemNotice'
import { catalogueQuery } from '~/data/queries'
import { DatasetCard } from './DatasetCard'

/** What data the workers have, and whose. */
export function DataPage() {
  const { data, error, refetch } = useQuery(catalogueQuery)
  const datasets = data?.plugins.filter((plugin) => plugin.kind === 'dataset') ?? []
  return (
    <>
      <PageHeader
        title="Data"
        lead="Data sets in the catalogue of the workers, with the sensitive attributes that subgroups are made of."
      />
      {error && !data && <ProblemNotice error={error} onRetry={() => refetch()} />}
      {!data && !error && <Skeleton height={280} aria-label="Loading the data sets" />}
      <Stack gap="md">
        {datasets.map((plugin) => (
          <DatasetCard key={plugin.name} plugin={plugin} />
        ))}
        {data && datasets.length === 0 && (
          <Empty title="No data set in the catalogue">
            A data set is one file in worker/datasets. Add one and restart the worker; it appears here by
            itself.
          </Empty>
        )}
      </Stack>
    </>
  )
}
