import { describe, expect, it } from 'vitest'
import { MOST_NUMBERS, numbers, parseSearch, stretches, stringifySearch } from './search'
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

describe('numbers in an address', () => {
  it('are written as stretches and read back', () => {
    expect(stretches([9, 3, 4, 5, 4])).toBe('3-5,9')
    expect(numbers('3-5,9')).toEqual([3, 4, 5, 9])
    expect(stretches([])).toBeUndefined()
    const some = [0, 1, 2, 7, 8, 1000, 5]
    expect(numbers(stretches(some))).toEqual([...some].sort((a, b) => a - b))
  })

  it('drop what is no number and stop where an address would grow too long', () => {
    expect(numbers('a,-1,3.5,5-x,7-6,1e3,12')).toEqual([12])
    expect(numbers(undefined)).toEqual([])
    expect(numbers(8)).toEqual([8])
    expect(numbers('0-999999999999')).toHaveLength(MOST_NUMBERS)
    expect(numbers(stretches(Array.from({ length: 9000 }, (_, i) => 2 * i)))).toHaveLength(MOST_NUMBERS)
  })
})
