import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AllowList, type AllowListEntry } from '../../../src/allow-list/index.ts'
import { ALICE, BOB, CAROL, entries, HASH, ipTexts, RSA, RSA_CID, thrown } from './names.ts'

const seed = 0x616c6c6f
const hash = (index: number): string => index.toString(16).padStart(64, '0')

/** The eight groups of an IPv6 address, by way of the URL parser. */
function groupsOf(ip: string): number[] {
  const [head = '', tail = ''] = canonicalIp6(ip).split('::')
  const [before = [], after = []] = [head, tail].map(part =>
    part === '' ? [] : part.split(':').map(group => Number.parseInt(group, 16))
  )
  return [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after]
}

function canonicalIp6(ip: string): string {
  return new URL(`http://[${ip}]`).hostname.slice(1, -1)
}

function numberOf(ip: string): bigint {
  return ip.includes(':')
    ? groupsOf(ip).reduce((sum, group) => (sum << 16n) | BigInt(group), 0n)
    : ip.split('.').reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n)
}

/** Whether a range holds an address, by arithmetic. */
function holds(range: string, ip: string): boolean {
  const [network = '', prefix] = range.split('/')
  if (network.includes(':') !== ip.includes(':')) return false
  const width = ip.includes(':') ? 128n : 32n
  const shift = width - BigInt(prefix ?? width)
  return numberOf(network) >> shift === numberOf(ip) >> shift
}

/** An address that differs in one bit, which is where a mask goes wrong. */
function flip(ip: string, bit: number): string {
  if (!ip.includes(':')) {
    const bytes = ip.split('.').map(Number)
    return bytes.map((byte, index) => (index === (bit >> 3) % 4 ? byte ^ (1 << (bit & 7)) : byte)).join('.')
  }
  const flipped = groupsOf(ip).map((group, index) => (index === bit >> 4 ? group ^ (1 << (bit & 15)) : group))
  return canonicalIp6(flipped.map(group => group.toString(16)).join(':'))
}

describe('who is allowed', () => {
  it('is nobody on an empty list', () => {
    const list = new AllowList([])
    expect(list.everybody).toBe(false)
    expect(list.verdict(ALICE, HASH, '10.0.0.7')).toBe('unknown-peer')
    expect(list.mayKnow(ALICE)).toBe(false)
  })

  it('is everybody from anywhere after allow-all', () => {
    const list = new AllowList('allow-all')
    expect(list.everybody).toBe(true)
    expect(list.verdict(ALICE, undefined, undefined)).toBe('allowed')
    expect(list.mayKnow(ALICE, HASH)).toBe(true)
    expect(list.entries()).toEqual([])
  })

  it('is a peer from any address when its entry names none', () => {
    const list = new AllowList([{ peerId: ALICE }])
    expect(list.verdict(ALICE, undefined, '10.0.0.7')).toBe('allowed')
    expect(list.verdict(ALICE, HASH, undefined)).toBe('allowed')
    expect(list.verdict(BOB, undefined, '10.0.0.7')).toBe('unknown-peer')
  })

  it('is a peer from the addresses of its entry only', () => {
    const list = new AllowList([
      { peerId: ALICE, ips: ['10.0.0.7', '192.168.0.0/16', '2001:db8::/32', '2001:DB9::1'] },
      { peerId: BOB, ips: ['::ffff:10.0.0.9', '::ffff:172.16.0.0/108'] }
    ])
    const from = (peerId: string, ip: string | undefined): string => list.verdict(peerId, undefined, ip)
    for (const ip of ['10.0.0.7', '192.168.255.255', '192.168.0.0', '2001:db8:ffff::1', '2001:db9::1']) {
      expect(from(ALICE, ip)).toBe('allowed')
    }
    for (const ip of [
      '10.0.0.8',
      '192.169.0.0',
      '192.167.255.255',
      '2001:db9::2',
      '::1',
      'nonsense',
      '',
      undefined
    ]) {
      expect(from(ALICE, ip)).toBe('wrong-address')
    }
    for (const ip of ['10.0.0.9', '172.16.0.1', '172.31.255.255']) expect(from(BOB, ip)).toBe('allowed')
    for (const ip of ['10.0.0.7', '172.32.0.0']) expect(from(BOB, ip)).toBe('wrong-address')
    expect(from(CAROL, '10.0.0.7')).toBe('unknown-peer')
  })

  it('is no IPv4 peer through an IPv6 range, nor the other way round', () => {
    const list = new AllowList([
      { peerId: ALICE, ips: ['::/0'] },
      { peerId: BOB, ips: ['0.0.0.0/0'] }
    ])
    expect(list.verdict(ALICE, undefined, '2001:db8::1')).toBe('allowed')
    expect(list.verdict(ALICE, undefined, '10.0.0.7')).toBe('wrong-address')
    expect(list.verdict(BOB, undefined, '10.0.0.7')).toBe('allowed')
    expect(list.verdict(BOB, undefined, '2001:db8::1')).toBe('wrong-address')
  })

  it('is a node under its key hash, in any case, once that is known', () => {
    const list = new AllowList([{ peerId: HASH.toUpperCase(), ips: ['10.0.0.7'] }])
    expect(list.verdict(ALICE, HASH, '10.0.0.7')).toBe('allowed')
    expect(list.verdict(ALICE, HASH, '10.0.0.8')).toBe('wrong-address')
    expect(list.verdict(ALICE, undefined, '10.0.0.7')).toBe('unknown-peer')
    expect(list.verdict(ALICE, hash(1), '10.0.0.7')).toBe('unknown-peer')
  })

  it('is a node that one of its two names allows', () => {
    const list = new AllowList([
      { peerId: ALICE, ips: ['10.0.0.1'] },
      { peerId: HASH, ips: ['10.0.0.2'] }
    ])
    expect(list.verdict(ALICE, HASH, '10.0.0.1')).toBe('allowed')
    expect(list.verdict(ALICE, HASH, '10.0.0.2')).toBe('allowed')
    expect(list.verdict(ALICE, HASH, '10.0.0.3')).toBe('wrong-address')
  })

  it('agrees with arithmetic on every range', () => {
    fc.assert(
      fc.property(
        fc.array(ipTexts, { minLength: 1, maxLength: 6 }),
        fc.nat({ max: 5 }),
        fc.integer({ min: 0, max: 127 }),
        (ips, index, bit) => {
          const list = new AllowList([{ peerId: ALICE, ips }])
          const [rule = ''] = (ips[index % ips.length] ?? '').split('/')
          const ip = flip(rule, bit)
          fc.pre(!ip.startsWith('::ffff:'))
          const expected = ips.some(range => holds(range, ip)) ? 'allowed' : 'wrong-address'
          expect(list.verdict(ALICE, undefined, ip)).toBe(expected)
        }
      ),
      { seed, numRuns: 2_000 }
    )
  })
})

describe('who may be dialled', () => {
  it('is a peer with an entry, whatever its addresses', () => {
    const list = new AllowList([{ peerId: ALICE, ips: ['10.0.0.7'] }])
    expect(list.mayKnow(ALICE)).toBe(true)
    expect(list.mayKnow(BOB)).toBe(false)
    expect(list.mayKnow(BOB, HASH)).toBe(false)
  })

  it('is any peer of unknown key hash as long as the list has a key hash', () => {
    const list = new AllowList([{ peerId: HASH }])
    list.remove(hash(1))
    expect(list.mayKnow(BOB)).toBe(true)
    expect(list.mayKnow(BOB, HASH)).toBe(true)
    expect(list.mayKnow(BOB, hash(1))).toBe(false)

    list.add({ peerId: HASH, ips: ['10.0.0.7'] })
    list.add({ peerId: hash(1) })
    list.remove(HASH)
    expect(list.mayKnow(BOB)).toBe(true)
    list.remove(hash(1))
    expect(list.mayKnow(BOB)).toBe(false)
    list.replace([{ peerId: HASH }])
    expect(list.mayKnow(BOB)).toBe(true)
    list.replace([])
    expect(list.mayKnow(BOB)).toBe(false)
  })

  it('at an address is allowed or not by both names, of which only the handshake may tell the key hash', () => {
    const list = new AllowList([{ peerId: ALICE, ips: ['10.0.0.7'] }])
    expect(list.foresee(ALICE, undefined, '10.0.0.7')).toBe('allowed')
    expect(list.foresee(ALICE, undefined, '10.0.0.8')).toBe('wrong-address')
    expect(list.foresee(BOB, undefined, '10.0.0.7')).toBe('unknown-peer')

    list.add({ peerId: HASH, ips: ['10.0.0.8'] })
    expect(list.foresee(ALICE, undefined, '10.0.0.9')).toBe('allowed')
    expect(list.foresee(ALICE, HASH, '10.0.0.8')).toBe('allowed')
    expect(list.foresee(ALICE, HASH, '10.0.0.9')).toBe('wrong-address')
    expect(list.foresee(ALICE, hash(1), '10.0.0.8')).toBe('wrong-address')
  })
})

describe('changing the list', () => {
  it('add replaces the entry of the same peer, in whatever form it is named', () => {
    const list = new AllowList([{ peerId: RSA }, { peerId: BOB }])
    list.add({ peerId: RSA_CID, ips: ['10.0.0.7', '10.0.0.7/32', '10.1.2.3/8'] })
    expect(list.entries()).toStrictEqual([{ peerId: RSA, ips: ['10.0.0.7', '10.0.0.0/8'] }, { peerId: BOB }])
    list.add({ peerId: RSA, ips: ['11.0.0.7'] })
    expect(list.verdict(RSA, undefined, '10.0.0.7')).toBe('wrong-address')
    expect(list.verdict(RSA, undefined, '11.0.0.7')).toBe('allowed')
  })

  it('remove says whether there was an entry, in whatever form it is named', () => {
    const list = new AllowList([{ peerId: RSA }, { peerId: HASH }])
    expect(list.remove(RSA_CID)).toBe(true)
    expect(list.remove(RSA)).toBe(false)
    expect(list.remove(HASH.toUpperCase())).toBe(true)
    expect(list.entries()).toEqual([])
    expect(thrown(() => list.remove('nobody')).code).toBe('ERR_INVALID_PEER_ID')
  })

  it('allowAll keeps the entries for the time after', () => {
    const list = new AllowList([{ peerId: ALICE, ips: ['10.0.0.7'] }])
    list.allowAll(true)
    expect(list.verdict(BOB, undefined, undefined)).toBe('allowed')
    expect(list.entries()).toHaveLength(1)
    list.allowAll(false)
    expect(list.verdict(BOB, undefined, undefined)).toBe('unknown-peer')
    expect(list.verdict(ALICE, undefined, '10.0.0.7')).toBe('allowed')
    expect(thrown(() => list.allowAll('false' as never)).code).toBe('ERR_INVALID_OPTION')
    expect(list.everybody).toBe(false)
  })

  it('replace sets everything, or nothing when one entry is wrong', () => {
    const list = new AllowList([{ peerId: ALICE }])
    list.replace([{ peerId: BOB }])
    expect(list.entries()).toEqual([{ peerId: BOB }])

    for (const bad of [{ peerId: CAROL, ips: [] }, { peerId: 'x' }, { peerId: CAROL, ips: ['x'] }]) {
      thrown(() => list.replace([{ peerId: ALICE }, bad]))
      expect(list.entries()).toEqual([{ peerId: BOB }])
    }
    list.replace('allow-all')
    expect([list.everybody, list.entries()]).toEqual([true, []])
    thrown(() => list.replace('allow_all' as never))
    expect(list.everybody).toBe(true)
    list.replace([])
    expect(list.everybody).toBe(false)
  })

  it('entries shares nothing with the list', () => {
    const mine: AllowListEntry = { peerId: ALICE, ips: ['10.0.0.7'] }
    const list = new AllowList([mine])
    mine.ips?.push('10.0.0.8')
    list.entries()[0]?.ips?.push('10.0.0.9')
    list.entries().pop()
    expect(list.entries()).toEqual([{ peerId: ALICE, ips: ['10.0.0.7'] }])
    for (const ip of ['10.0.0.8', '10.0.0.9'])
      expect(list.verdict(ALICE, undefined, ip)).toBe('wrong-address')
  })

  it('a list made of the entries of another is the same list', () => {
    fc.assert(
      fc.property(entries, given => {
        const once = new AllowList(given).entries()
        expect(new AllowList(once).entries()).toStrictEqual(once)
      }),
      { seed }
    )
  })
})

describe('what is refused', () => {
  const holes = Array<string>(2)
  const cases: Array<[string, unknown, string, RegExp]> = [
    ['no entry', undefined, 'ERR_INVALID_OPTION', /undefined.*peerId, ips/],
    ['null', null, 'ERR_INVALID_OPTION', /null/],
    ['a text', ALICE, 'ERR_INVALID_OPTION', /wanted \{ peerId, ips\? \}/],
    ['an array', [ALICE], 'ERR_INVALID_OPTION', /an array of 1/],
    ['a mistyped property', { peerId: ALICE, ip: '10.0.0.7' }, 'ERR_INVALID_OPTION', /'ip'/],
    ['no name', { ips: ['10.0.0.7'] }, 'ERR_INVALID_PEER_ID', /undefined/],
    ['a name that is no peer ID', { peerId: 'alice' }, 'ERR_INVALID_PEER_ID', /'alice'/],
    ['a hash one digit short', { peerId: HASH.slice(1) }, 'ERR_INVALID_PEER_ID', /Invalid peer ID/],
    ['a hash that is not hex', { peerId: `g${HASH.slice(1)}` }, 'ERR_INVALID_PEER_ID', /Invalid peer ID/],
    ['no addresses at all', { peerId: ALICE, ips: [] }, 'ERR_INVALID_OPTION', /1 to 1024; leave ips out/],
    ['null addresses', { peerId: ALICE, ips: null }, 'ERR_INVALID_OPTION', /null/],
    ['one address without its list', { peerId: ALICE, ips: '10.0.0.7' }, 'ERR_INVALID_OPTION', /'10.0.0.7'/],
    ['addresses that are missing', { peerId: ALICE, ips: holes }, 'ERR_INVALID_ADDRESS', /undefined/],
    ['1,025 addresses', { peerId: ALICE, ips: Array(1_025).fill('::1') }, 'ERR_INVALID_OPTION', /1025/],
    ['an address that is a number', { peerId: ALICE, ips: [167772167] }, 'ERR_INVALID_ADDRESS', /167772167/],
    ['an address with a port', { peerId: ALICE, ips: ['10.0.0.7:1'] }, 'ERR_INVALID_ADDRESS', /'10.0.0.7:1'/],
    ['a multiaddr', { peerId: ALICE, ips: ['/ip4/10.0.0.7'] }, 'ERR_INVALID_ADDRESS', /CIDR/],
    ['a host name', { peerId: ALICE, ips: ['localhost'] }, 'ERR_INVALID_ADDRESS', /'localhost'/],
    ['an address with a zone', { peerId: ALICE, ips: ['fe80::1%eth0'] }, 'ERR_INVALID_ADDRESS', /eth0/],
    ['a prefix out of range', { peerId: ALICE, ips: ['10.0.0.0/33'] }, 'ERR_INVALID_ADDRESS', /\/33/]
  ]

  it.each(cases)('as an entry: %s', (_, entry, code, message) => {
    const list = new AllowList([{ peerId: BOB }])
    for (const change of [
      () => list.add(entry as AllowListEntry),
      () => list.replace([entry as AllowListEntry]),
      () => new AllowList([entry as AllowListEntry])
    ]) {
      const err = thrown(change)
      expect(err.code).toBe(code)
      expect(err.message).toMatch(message)
    }
    expect(list.entries()).toEqual([{ peerId: BOB }])
  })

  it.each([undefined, null, {}, 'allow_all', 'everybody', 7, Array(1)])('as a list: %j', content => {
    expect(thrown(() => new AllowList(content as never)).code).toBe('ERR_INVALID_OPTION')
  })

  it('two entries of one peer in two forms', () => {
    const err = thrown(() => new AllowList([{ peerId: RSA }, { peerId: BOB }, { peerId: RSA_CID }]))
    expect(err.code).toBe('ERR_INVALID_OPTION')
    expect(err.message).toContain(RSA)
  })

  it('an entry above 65,536, but not a replacement', () => {
    const full = Array.from({ length: 65_536 }, (_, index) => ({ peerId: hash(index) }))
    const list = new AllowList(full)
    list.add({ peerId: hash(7), ips: ['10.0.0.7'] })
    expect(thrown(() => list.add({ peerId: ALICE })).code).toBe('ERR_INVALID_OPTION')
    expect(thrown(() => list.replace([...full, { peerId: ALICE }])).code).toBe('ERR_INVALID_OPTION')
    expect(list.remove(hash(7))).toBe(true)
    list.add({ peerId: ALICE })
    expect(list.verdict(ALICE, undefined, undefined)).toBe('allowed')
  })

  it('no property of Object.prototype as a peer', () => {
    const list = new AllowList([])
    for (const name of ['__proto__', 'constructor', 'toString']) {
      expect(list.verdict(name, name, '10.0.0.7')).toBe('unknown-peer')
      expect(thrown(() => list.add({ peerId: name })).code).toBe('ERR_INVALID_PEER_ID')
    }
    expect(thrown(() => list.add(JSON.parse(`{"peerId":"${ALICE}","__proto__":{"ips":["::1"]}}`))).code).toBe(
      'ERR_INVALID_OPTION'
    )
  })
})
