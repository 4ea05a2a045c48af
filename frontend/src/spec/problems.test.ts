import { describe, expect, it } from 'vitest'
import { fieldPath, focusField, problemsAt, sentence } from './problems'

const problem = (field: string) => ({
  field,
  expected: 'a number above 0',
  got: '-1',
  fix: 'Give 0.5 or more',
})

describe('placement', () => {
  it('understands the spellings of a path', () => {
    expect(fieldPath('body.methods.1.params.epsilon')).toBe('methods.1.params.epsilon')
    expect(fieldPath('methods[1].params.epsilon')).toBe('methods.1.params.epsilon')
    expect(fieldPath('/methods/1/params')).toBe('methods.1.params')
    expect(fieldPath('body')).toBe('')
  })

  it('puts a problem at its field and not at one whose name only begins the same', () => {
    const found = [problem('methods.1.params.epsilon.2'), problem('methods.10.params.epsilon')]
    expect(problemsAt(found, 'methods.1.params.epsilon')).toEqual([found[0]])
    expect(problemsAt(found, 'methods.1')).toEqual([found[0]])
    expect(problemsAt(found, 'methods')).toEqual(found)
  })

  it('is said in one sentence', () => {
    expect(sentence(problem('x'))).toBe('Expected a number above 0, got -1. Give 0.5 or more.')
    expect(sentence({ field: 'x', expected: 'Expected a name', fix: '' })).toBe('Expected a name.')
  })

  it('focuses the field, or the nearest thing around it, and unfolds what hides it', () => {
    document.body.innerHTML =
      '<div id="field-methods-0" tabindex="-1"></div><details><input id="field-training-momentum" /></details>'
    Element.prototype.scrollIntoView = () => {}
    focusField('methods.0.params.epsilon')
    expect(document.activeElement?.id).toBe('field-methods-0')
    focusField('training.momentum')
    expect(document.querySelector('details')?.open).toBe(true)
    focusField('nowhere')
  })
})
