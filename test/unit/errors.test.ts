import { expect, test } from 'vitest'
import { messageOf } from '../../src/errors.ts'

test.each([
  ['an error', new Error('no way'), 'no way'],
  ['an error without words', new TypeError(), 'TypeError'],
  ['a text', 'no way', 'no way'],
  [
    'an event that holds an error',
    Object.assign(new Event('close'), { error: new Error('no way') }),
    'no way'
  ],
  ['an event that holds none', new Event('close'), 'ended by a close'],
  ['nothing', undefined, 'undefined']
])('%s is told in words', (_, thrown, words) => {
  expect(messageOf(thrown)).toBe(words)
})

test('at most 500 characters are told', () => {
  expect(messageOf(new Error('x'.repeat(600)))).toBe(`${'x'.repeat(500)}…`)
})
