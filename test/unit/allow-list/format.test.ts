import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { AllowList, formatAllowList, parseAllowList } from '../../../src/allow-list/index.ts'
import { ALICE, BOB, CAROL, contents, entries, HASH, thrown } from './names.ts'

const seed = 0x666f726d

describe('formatAllowList', () => {
  it('writes one name and address a line, `~` for any, and lists in block form', () => {
    const text = formatAllowList([
      { peerId: ALICE, ips: ['10.0.0.7'] },
      { peerId: BOB },
      { peerId: HASH.toUpperCase(), ips: ['::1'] },
      { peerId: CAROL, ips: ['10.0.0.7/24', '2001:DB8::/32'] }
    ])
    expect(text).toBe(
      `${ALICE}: 10.0.0.7\n${BOB}: ~\n${HASH}: '::1'\n${CAROL}:\n  - 10.0.0.0/24\n  - '2001:db8::/32'\n`
    )
    expect(formatAllowList('allow-all')).toBe('allow_all\n')
    expect(formatAllowList([])).toBe('')
  })

  it('writes what parseAllowList reads back as the same list', () => {
    fc.assert(
      fc.property(contents, list => {
        const canonical = list === 'allow-all' ? list : new AllowList(list).entries()
        const text = formatAllowList(list)
        expect(parseAllowList(text)).toStrictEqual(canonical)
        expect(formatAllowList(parseAllowList(text))).toBe(text)
      }),
      { seed, numRuns: 500 }
    )
  })

  it.each(['1.1', '1.2'] as const)('writes what any reader of YAML %s takes for the same texts', version => {
    fc.assert(
      fc.property(entries, list => {
        const read = parse(formatAllowList(list), { version, mapAsMap: true }) as Map<unknown, unknown> | null
        const expected = new AllowList(list)
          .entries()
          .map(({ peerId, ips = null }) => [peerId, ips?.length === 1 ? ips[0] : ips])
        expect([...(read ?? [])]).toStrictEqual(expected)
      }),
      { seed, numRuns: 300 }
    )
  })

  it('refuses what an allow list refuses, and a text above 16 MiB', { tags: ['long'] }, () => {
    expect(thrown(() => formatAllowList([{ peerId: 'x' }])).code).toBe('ERR_INVALID_PEER_ID')
    expect(thrown(() => formatAllowList([{ peerId: ALICE, ips: [] }])).code).toBe('ERR_INVALID_OPTION')
    expect(thrown(() => formatAllowList('allow_all' as never)).code).toBe('ERR_INVALID_OPTION')

    const ips = Array.from(
      { length: 1_024 },
      (_, index) => `2001:db8:1111:2222:3333:4444:5555:${index.toString(16)}`
    )
    const large = Array.from({ length: 400 }, (_, index) => ({
      peerId: index.toString(16).padStart(64, '0'),
      ips
    }))
    const err = thrown(() => formatAllowList(large))
    expect(err.code).toBe('ERR_INVALID_OPTION')
    expect(err.message).toContain('at most 16777216')
  })
})
