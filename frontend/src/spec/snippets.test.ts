import { expect, it } from 'vitest'
import { preset } from '~/test/fixtures'
import { asDraft } from './draft'
import { curlLine, pythonLines, pythonLiteral } from './snippets'

it('quotes for a shell', () => {
  const draft = { ...asDraft(preset.spec), name: "Who's paying" }
  const line = curlLine('http://localhost:8000', draft)
  expect(line).toContain('curl -X POST http://localhost:8000/api/jobs')
  expect(line).toContain(`Who'\\''s paying`)
})

it('writes Python literals', () => {
  expect(pythonLiteral({ a: true, b: null, c: [1, 'x'], d: {} })).toBe(
    '{\n    "a": True,\n    "b": None,\n    "c": [1, "x"],\n    "d": {},\n}',
  )
  expect(pythonLines('http://localhost:8000', asDraft(preset.spec))).toContain('"epsilon": [1, 2]')
})
