export { PageProblem } from './PageProblem'
export { PageSkeleton } from './PageSkeleton'
export { Shell } from './Shell'
export { UnknownPage } from './UnknownPage'
