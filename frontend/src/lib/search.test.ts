import { describe, expect, it } from 'vitest'
import { parseSearch, stringifySearch } from './search'
import * as views from './views'

describe('addresses', () => {
  it('are short and readable', () => {
    expect(stringifySearch({ jobs: ['a', 'b'], x: 'epsilon', frontier: false, y: undefined, text: '' })).toBe(
      '?jobs=a,b&x=epsilon&frontier=0',
    )
    expect(stringifySearch({})).toBe('')
  })

  it('come back as they were', () => {
    const view = {
      jobs: ['a', 'b'],
      x: 'epsilon',
      y: 'loss_gap',
      subgroup: 'sex=Female & race=Black',
      frontier: false,
    }
    expect(views.explore(parseSearch(stringifySearch(view)))).toMatchObject(view)
  })

  it('drop what they cannot mean', () => {
    const view = views.studies({ status: 'exploded', text: '  ' })
    expect(view).toEqual({ status: undefined, text: undefined })
    expect(views.study({ split: 'holdout', down: 'maybe', x: 'a'.repeat(500) })).toMatchObject({
      split: undefined,
      down: undefined,
      x: undefined,
    })
    expect(views.study({ against: '  ', between: 'sex & race', at: '-1' })).toMatchObject({
      against: undefined,
      between: 'sex & race',
      at: undefined,
    })
    expect(views.run({ attack: 'a'.repeat(500), down: '1' })).toMatchObject({ attack: undefined, down: true })
    expect(views.explore({ jobs: ' ,a,a' }).jobs).toEqual(['a'])
  })
})
