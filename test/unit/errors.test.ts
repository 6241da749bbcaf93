import { expect, test } from 'vitest'
import { messageOf } from '../../src/errors.ts'
import type { P2pErrorCode } from '../../src/errors.ts'

/** What an application's own table looks like. A code more or less does not pass the type check. */
const ADVICE = {
  ERR_INVALID_KEY: 'look at the key',
  ERR_INVALID_ADDRESS: 'look at the address',
  ERR_INVALID_PEER_ID: 'look at the peer ID',
  ERR_INVALID_OPTION: 'look at the option',
  ERR_LISTEN_FAILED: 'free the port',
  ERR_DIAL_FAILED: 'dial again later',
  ERR_NOT_ALLOWED: 'name the peer',
  ERR_PEER_MISMATCH: 'ask who that is',
  ERR_MESSAGE_TOO_LARGE: 'send less',
  ERR_SENDER_FULL: 'read first',
  ERR_CLOSED: 'start another',
  ERR_RUNTIME_FAILED: 'start another'
} satisfies Record<P2pErrorCode, string>

test('an application can have an answer to every code: there are twelve', () => {
  expect(Object.keys(ADVICE)).toHaveLength(12)
})

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
