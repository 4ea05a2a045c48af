import { useQuery } from '@tanstack/react-query'
import { getRouteApi, Navigate } from '@tanstack/react-router'
import { PageSkeleton } from '~/components/PageSkeleton'
import { ProblemNotice } from '~/components/ProblemNotice'
import { linkQuery } from '~/data/queries'

const route = getRouteApi('/l/$id')

/** Opens a kept view, with the results as they were. */
export function LinkPage() {
  const { id } = route.useParams()
  const { data, error, refetch } = useQuery(linkQuery(id))
  if (error) return <ProblemNotice error={error} onRetry={() => refetch()} />
  if (!data) return <PageSkeleton />
  return <Navigate to={data.path} search={{ ...data.search, asOf: data.as_of, link: data.id }} replace />
}
