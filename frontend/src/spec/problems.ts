/** Where a problem belongs on the form. Pure, except `focusField`. */
import type { Problem } from '~/api'

/** The path without a framework's prefix: body.methods.1 is methods.1; methods[1] too. */
export function fieldPath(field: string): string {
  return field
    .replace(/^(body|\$|spec)(\.|$)/, '')
    .replaceAll(/\[(\w+)\]/g, '.$1')
    .replace(/^[./]+/, '')
    .replaceAll('/', '.')
}

const isWithin = (path: string, root: string) => path === root || path.startsWith(`${root}.`)

/** Problems at a field or inside it. */
export function problemsAt(problems: readonly Problem[], path: string): Problem[] {
  return problems.filter((problem) => isWithin(fieldPath(problem.field), path))
}

/** Problems of a section that none of the `taken` fields in it will show. */
export function problemsLeft(
  problems: readonly Problem[],
  root: string,
  taken: readonly string[],
): Problem[] {
  return problemsAt(problems, root).filter(
    (problem) => !taken.some((path) => isWithin(fieldPath(problem.field), path)),
  )
}

/** One line for below a field: what was expected, and the fix. */
export function sentence(problem: Problem): string {
  const got =
    problem.got === null || problem.got === undefined || problem.got === '' ? '' : `, got ${problem.got}`
  const expected = problem.expected ? `Expected ${problem.expected.replace(/^expected\s+/i, '')}${got}` : ''
  return [expected, problem.fix].filter(Boolean).map(withStop).join(' ')
}

function withStop(text: string): string {
  return /[.?:]$/.test(text) ? text : `${text}.`
}

export const fieldId = (path: string) => `field-${path.replaceAll('.', '-')}`

/** The path's element, or the nearest one around it. */
export function focusField(field: string): void {
  const parts = fieldPath(field).split('.')
  while (parts.length) {
    const found = document.getElementById(fieldId(parts.join('.')))
    if (found) {
      for (let fold = found.closest('details'); fold; fold = fold.parentElement?.closest('details') ?? null)
        fold.open = true
      found.scrollIntoView({ block: 'center', behavior: 'auto' })
      found.focus({ preventScroll: true })
      return
    }
    parts.pop()
  }
}
