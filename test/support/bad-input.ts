/** Tables of bad input: calls that must fail, with which code, and what they must say. */
import { P2pError } from 'bitvmx-p2p'
import type { P2pErrorCode } from 'bitvmx-p2p'
import { expect } from 'vitest'

/** A call, the code it must fail with, and what its message must say: what was given, and what is wanted. */
export type Case = [given: string, code: P2pErrorCode, call: () => unknown, ...words: string[]]

/** A call fails as its case says, and tells nothing of `secret`, a private key in hex. */
export async function expectFailure([given, code, call, ...words]: Case, secret: string): Promise<void> {
  const error: unknown = await (async () => call())().then(
    () => `${given} was accepted`,
    (err: unknown) => err
  )
  expect(error, `given: ${given}`).toBeInstanceOf(P2pError)
  const { code: actual, message, stack } = error as P2pError
  expect(actual, `${given}: ${message}`).toBe(code)
  expect(words.length, `${given}: what must the message say?`).toBeGreaterThan(0)
  for (const word of words) expect(message, `given: ${given}`).toContain(word)
  const bytes = Buffer.from(secret, 'hex')
  for (const form of [secret, bytes.toString('base64'), bytes.join(',')]) {
    for (let at = 8; at + 12 <= form.length; at += 12) expect(stack).not.toContain(form.slice(at, at + 12))
  }
}

/** Passes any value where the types want another. */
export const any = (value: unknown): never => value as never

type Values = Array<[name: string, value: unknown]>

export const NO_OBJECTS: Values = [
  ['null', null],
  ['0', 0],
  ["'x'", 'x'],
  ['true', true],
  ['an array of 1', [1]]
]

export const NO_STRINGS: Values = [
  ['undefined', undefined],
  ['null', null],
  ['7', 7],
  ['an object', {}],
  ['an array of 0', []],
  ['a Uint8Array of 3 bytes', new Uint8Array(3)]
]

export const NO_PEER_IDS: Values = [
  ...NO_STRINGS,
  ["''", ''],
  ["'nobody'", 'nobody'],
  ["'12D3KooWnope'", '12D3KooWnope'],
  ['70 characters', 'Q'.repeat(70)]
]

const refuse = (): never => {
  throw new Error('not for you')
}

/** What is not what it seems to be, or refuses to be looked at. */
export const DECEPTIVE: Values = [
  ['an heir of Uint8Array.prototype', Object.create(Uint8Array.prototype)],
  ['a proxy of a Uint8Array', new Proxy(new Uint8Array(3), {})],
  ['an object whose constructor has a symbol for a name', { constructor: { name: Symbol('s') } }],
  ['an object that passes for an array', Object.create([])],
  ['a proxy that answers no questions', new Proxy({}, { get: refuse })]
]

/** What cannot cross to the runtime thread. */
export const NOT_CLONEABLE: Values = [
  ['a function', () => {}],
  ['a symbol', Symbol('s')],
  ['a proxy', new Proxy({}, {})]
]
