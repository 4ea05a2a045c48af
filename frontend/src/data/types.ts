import type { FiguresGetFigureData, Job, JobSpec } from '~/api'

export type JobStatus = Job['status']
export type FigureName = FiguresGetFigureData['path']['name']
export type FigureRequest = NonNullable<FiguresGetFigureData['query']>
export type Spec = JobSpec
export type Params = Record<string, unknown>

export interface JobFilter {
  status?: JobStatus
  text?: string
}
