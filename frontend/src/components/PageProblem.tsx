import type { ErrorComponentProps } from '@tanstack/react-router'
import { useRouter } from '@tanstack/react-router'
import { ProblemNotice } from './ProblemNotice'

/** What is drawn when a page fails. The rest of the window stays usable. */
export function PageProblem({ error, reset }: ErrorComponentProps) {
  const router = useRouter()
  return (
    <ProblemNotice
      error={error}
      onRetry={() => {
        reset()
        router.invalidate()
      }}
    />
  )
}
