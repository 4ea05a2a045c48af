import type { QueryClient } from '@tanstack/react-query'
import {
  createRootRouteWithContext,
  createRoute,
  createRouter,
  lazyRouteComponent,
  redirect,
} from '@tanstack/react-router'
import { PageProblem, PageSkeleton, Shell, UnknownPage } from './components'
import * as reviewViews from './lib/reviewViews'
import { parseSearch, stringifySearch } from './lib/search'
import * as views from './lib/views'

const root = createRootRouteWithContext<{ queries: QueryClient }>()({
  component: Shell,
  notFoundComponent: UnknownPage,
})

const home = createRoute({
  getParentRoute: () => root,
  path: '/',
  beforeLoad: () => {
    throw redirect({ to: '/studies', replace: true })
  },
})

const newStudy = createRoute({
  getParentRoute: () => root,
  path: '/new',
  validateSearch: views.newStudy,
  component: lazyRouteComponent(() => import('./pages/new/NewStudyPage'), 'NewStudyPage'),
})

const studies = createRoute({
  getParentRoute: () => root,
  path: '/studies',
  validateSearch: views.studies,
  component: lazyRouteComponent(() => import('./pages/studies/StudiesPage'), 'StudiesPage'),
})

const study = createRoute({
  getParentRoute: () => root,
  path: '/studies/$id',
  validateSearch: views.study,
  component: lazyRouteComponent(() => import('./pages/study/StudyPage'), 'StudyPage'),
})

const explore = createRoute({
  getParentRoute: () => root,
  path: '/explore',
  validateSearch: views.explore,
  component: lazyRouteComponent(() => import('./pages/explore/ExplorePage'), 'ExplorePage'),
})

const link = createRoute({
  getParentRoute: () => root,
  path: '/l/$id',
  component: lazyRouteComponent(() => import('./pages/explore/LinkPage'), 'LinkPage'),
})

const run = createRoute({
  getParentRoute: () => root,
  path: '/runs/$id',
  validateSearch: views.run,
  component: lazyRouteComponent(() => import('./pages/run/RunPage'), 'RunPage'),
})

const reviews = createRoute({
  getParentRoute: () => root,
  path: '/reviews',
  validateSearch: reviewViews.reviews,
  component: lazyRouteComponent(() => import('./pages/reviews/ReviewsPage'), 'ReviewsPage'),
})

const newReview = createRoute({
  getParentRoute: () => root,
  path: '/reviews/new',
  validateSearch: reviewViews.newReview,
  component: lazyRouteComponent(() => import('./pages/reviews/NewReviewPage'), 'NewReviewPage'),
})

const review = createRoute({
  getParentRoute: () => root,
  path: '/reviews/$id',
  validateSearch: reviewViews.review,
  component: lazyRouteComponent(() => import('./pages/reviews/ReviewPage'), 'ReviewPage'),
})

const ratingTask = createRoute({
  getParentRoute: () => root,
  path: '/reviews/$id/tasks/$task',
  component: lazyRouteComponent(() => import('./pages/reviews/TaskPage'), 'TaskPage'),
})

const calculator = createRoute({
  getParentRoute: () => root,
  path: '/calculator',
  validateSearch: views.calculator,
  component: lazyRouteComponent(() => import('./pages/calculator/CalculatorPage'), 'CalculatorPage'),
})

const gaussian = createRoute({
  getParentRoute: () => root,
  path: '/gaussian',
  validateSearch: views.gaussian,
  component: lazyRouteComponent(() => import('./pages/gaussian/GaussianPage'), 'GaussianPage'),
})

const data = createRoute({
  getParentRoute: () => root,
  path: '/data',
  component: lazyRouteComponent(() => import('./pages/data/DataPage'), 'DataPage'),
})

const workers = createRoute({
  getParentRoute: () => root,
  path: '/workers',
  component: lazyRouteComponent(() => import('./pages/workers/WorkersPage'), 'WorkersPage'),
})

const routeTree = root.addChildren([
  home,
  newStudy,
  studies,
  study,
  explore,
  link,
  run,
  reviews,
  newReview,
  review,
  ratingTask,
  calculator,
  gaussian,
  data,
  workers,
])

export const createAppRouter = (queries: QueryClient) =>
  createRouter({
    routeTree,
    context: { queries },
    parseSearch,
    stringifySearch,
    scrollRestoration: true,
    defaultPreload: 'intent',
    defaultPendingMs: 80,
    defaultPendingMinMs: 0,
    defaultPendingComponent: PageSkeleton,
    defaultErrorComponent: PageProblem,
  })
