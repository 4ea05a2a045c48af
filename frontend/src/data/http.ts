import type { Problem, ProblemDetails } from '~/api'

/** What the server answered when it refused or failed: title, detail and what to change. */
export class ApiError extends Error {
  readonly problem: ProblemDetails

  constructor(problem: ProblemDetails) {
    super(problem.detail || problem.title)
    this.name = 'ApiError'
    this.problem = problem
  }
}

interface Answer<T> {
  data?: T
  error?: unknown
  response?: Response
}

/** The data of a call, or an `ApiError` that a person can act on. */
export async function unwrap<T>(call: Promise<Answer<T>>): Promise<T> {
  let answer: Answer<T>
  try {
    answer = await call
  } catch (cause) {
    throw new ApiError(unreachable(cause))
  }
  const { data, error, response } = answer
  if (response?.ok) return data as T
  if (!response) throw new ApiError(unreachable(error))
  throw new ApiError(toProblem(error, response.status))
}

function unreachable(cause: unknown): ProblemDetails {
  return {
    type: '/problems/unreachable',
    title: 'The server does not answer',
    status: 0,
    detail: `No answer came from ${window.location.origin}${cause instanceof Error && cause.name === 'AbortError' ? ' in time' : ''}.`,
    problems: [
      {
        field: '',
        expected: 'a running server',
        fix: 'Start it with "equipoise serve", or check the connection, then try again.',
      },
    ],
  }
}

/** Any error body as problem details; a framework's own validation body becomes one too. */
export function toProblem(body: unknown, status: number): ProblemDetails {
  const record = isRecord(body) ? body : {}
  if (typeof record.title === 'string') {
    return {
      type: text(record.type) ?? 'about:blank',
      title: record.title,
      status,
      detail: text(record.detail) ?? '',
      instance: text(record.instance) ?? null,
      problems: Array.isArray(record.problems) ? (record.problems as Problem[]) : [],
    }
  }
  if (Array.isArray(record.detail)) {
    return {
      type: '/problems/validation',
      title: 'The request needs a change',
      status,
      detail: 'Some fields are not as expected.',
      problems: record.detail.filter(isRecord).map((entry) => ({
        field: Array.isArray(entry.loc) ? entry.loc.filter((part) => part !== 'body').join('.') : '',
        expected: text(entry.msg) ?? 'another value',
        fix: '',
      })),
    }
  }
  return {
    type: 'about:blank',
    title: status >= 500 ? 'The server could not answer' : 'The request was refused',
    status,
    detail: text(record.detail) ?? `The server answered with status ${status}.`,
    problems: [],
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

/** The problem behind any thrown value. */
export function problemOf(error: unknown): ProblemDetails {
  if (error instanceof ApiError) return error.problem
  return {
    type: 'about:blank',
    title: 'This page could not be drawn',
    status: 0,
    detail: error instanceof Error ? error.message : String(error),
    problems: [],
  }
}
