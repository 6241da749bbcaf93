import { expect, test } from 'vitest'
import { canonicalEntry } from '../../src/allow-list/entry.ts'
import { MISBEHAVIOUR_CAUSES, resolveOptions } from '../../src/options.ts'

const DEFAULTS = resolveOptions()

/** The same names at every level, each with `undefined`. */
function undefinedLike<T extends object>(value: T): { [Name in keyof T]: undefined } {
  return Object.fromEntries(Object.keys(value).map(name => [name, undefined])) as {
    [Name in keyof T]: undefined
  }
}

test.each([
  ['the options', undefined],
  ['each of them', undefinedLike(DEFAULTS)],
  ['each limit', { limits: undefinedLike(DEFAULTS.limits) }],
  ['each part of the rate limit', { rateLimit: undefinedLike(DEFAULTS.rateLimit) }],
  ['each cost', { rateLimit: { costs: undefinedLike(DEFAULTS.rateLimit.costs) } }]
])('undefined for %s leaves the defaults in place', (_, options) => {
  expect(resolveOptions(options)).toEqual(DEFAULTS)
  expect(Object.keys(DEFAULTS.rateLimit.costs)).toEqual([...MISBEHAVIOUR_CAUSES])
})

test('an allow list entry whose ips are undefined is the same as one without', () => {
  const peerId = '12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5'
  expect(canonicalEntry({ peerId, ips: undefined })).toStrictEqual({ peerId })
})
