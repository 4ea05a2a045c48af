import type { FiguresGetFigureData, Job, JobSpec } from '~/api'
import type { StudiesView } from '~/lib/views'

export type JobStatus = Job['status']
export type FigureName = FiguresGetFigureData['path']['name']
export type FigureRequest = NonNullable<FiguresGetFigureData['query']>
export type Spec = JobSpec
export type Params = Record<string, unknown>

export type JobFilter = StudiesView
