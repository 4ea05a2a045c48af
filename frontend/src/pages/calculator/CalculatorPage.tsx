import { getRouteApi } from '@tanstack/react-router'
import { PageHeader } from '~/components/PageHeader'
import * as views from '~/lib/views'
import { Calculator } from './Calculator'

const route = getRouteApi('/calculator')

/** What an ε costs in noise before anything is trained. */
export function CalculatorPage() {
  const view = route.useSearch()
  const navigate = route.useNavigate()
  return (
    <>
      <PageHeader
        title="Calculator"
        lead="How much noise an ε needs, and what ε a noise costs, by three accountants. The address holds every field: copy it to share."
      />
      <Calculator
        view={view}
        onView={(next) =>
          navigate({ search: views.calculator({ ...next }), replace: true, resetScroll: false })
        }
      />
    </>
  )
}
