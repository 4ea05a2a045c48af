import { createContext, useContext } from 'react'
import type { Problem } from '~/api'
import { problemsAt, sentence } from '~/spec/problems'

/** What the server finds wrong with the study as it stands; each field takes what is its own. */
export const ProblemsContext = createContext<readonly Problem[]>([])

/** The line below a field, or undefined where all is well. */
export function useFieldProblem(path: string): string | undefined {
  const found = problemsAt(useContext(ProblemsContext), path)
  return found.length ? found.map(sentence).join(' ') : undefined
}
