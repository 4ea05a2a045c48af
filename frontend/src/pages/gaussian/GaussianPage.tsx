import { getRouteApi } from '@tanstack/react-router'
import { PageHeader } from '~/components/PageHeader'
import { GaussianTask } from './GaussianTask'

const route = getRouteApi('/gaussian')

/** When robust training costs privacy and when it does not, where both can be worked out. */
export function GaussianPage() {
  const view = route.useSearch()
  const navigate = route.useNavigate()
  return (
    <>
      <PageHeader
        title="Gaussian task"
        lead="Does a model that withstands perturbations leak more about its training rows, or less? Two Gaussian classes and a linear model, where theory answers and a simulation checks it."
      />
      <GaussianTask
        view={view}
        onView={(search) => navigate({ search, replace: true, resetScroll: false })}
      />
    </>
  )
}
