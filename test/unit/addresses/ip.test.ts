import * as fc from 'fast-check'
import { isIP } from 'node:net'
import { describe, expect, it } from 'vitest'
import { ipOfMultiaddr, networkOf, normalizeIp, addressKey } from '../../../src/addresses/index.ts'

const seed = 0x69703634

/** The platform's own RFC 5952 writer, as a second opinion. */
function byUrl(ip6: string): string {
  return new URL(`http://[${ip6}]/`).hostname.slice(1, -1)
}

const groups = fc.array(
  fc.oneof(
    { weight: 2, arbitrary: fc.constant(0) },
    { weight: 3, arbitrary: fc.integer({ min: 0, max: 0xffff }) }
  ),
  { minLength: 8, maxLength: 8 }
)

describe('normalizeIp', () => {
  it.each([
    ['10.0.0.7', '10.0.0.7'],
    ['255.255.255.255', '255.255.255.255'],
    ['::', '::'],
    ['::1', '::1'],
    ['0:0:0:0:0:0:0:1', '::1'],
    ['2001:DB8::00A0', '2001:db8::a0'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['1::2:3:4:5:6:7', '1:0:2:3:4:5:6:7'],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
    ['1:2::', '1:2::'],
    ['64:ff9b::10.0.0.7', '64:ff9b::a00:7'],
    ['::10.0.0.7', '::a00:7']
  ])('writes %s as %s', (text, normalized) => {
    expect(normalizeIp(text)).toBe(normalized)
  })

  it.each(['::ffff:10.0.0.7', '::FFFF:a00:7', '0:0:0:0:0:ffff:10.0.0.7', '::ffff:10.0.0.7%eth0'])(
    'writes the IPv4-mapped %s as 10.0.0.7',
    text => {
      expect(normalizeIp(text)).toBe('10.0.0.7')
    }
  )

  it('drops the zone', () => {
    expect(normalizeIp('fe80::1%eth0')).toBe('fe80::1')
    expect(normalizeIp('FE80:0::1%12')).toBe('fe80::1')
  })

  it.each([
    '',
    ' ',
    'localhost',
    '1.2.3',
    '1.2.3.4.5',
    '256.1.1.1',
    '01.2.3.4',
    '1.2.3.4 ',
    '0x7f.1',
    '127.1',
    '2130706433',
    '1.2.3.4/32',
    '1.2.3.4:80',
    '[::1]',
    ':::',
    '1::2::3',
    '12345::',
    '::g',
    '::ffff:1.2.3.256',
    'fe80::1%',
    `::1%${'a'.repeat(1_000_000)}`
  ])('is undefined for %j', text => {
    expect(normalizeIp(text)).toBeUndefined()
  })

  it('agrees with the URL parser on every IPv6 address that is not mapped, and is stable', () => {
    fc.assert(
      fc.property(groups, fc.boolean(), (words, upper) => {
        const hex = words.map(word => word.toString(16)).join(':')
        const text = upper ? hex.toUpperCase() : hex
        const normalized = normalizeIp(text)
        const mapped = words.slice(0, 5).every(word => word === 0) && words[5] === 0xffff
        const [high = 0, low = 0] = words.slice(6)
        const dotted = [high >> 8, high & 255, low >> 8, low & 255].join('.')
        expect(normalized).toBe(mapped ? dotted : byUrl(text))
        // every way to write the address ends in one text
        expect(normalizeIp(byUrl(text))).toBe(normalized)
        expect(normalizeIp(normalized ?? '')).toBe(normalized)
      }),
      { seed, numRuns: 2_000 }
    )
  })

  it('gives any text an IP address or undefined', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string(), fc.stringMatching(/^[\da-f:.%]{0,40}$/), fc.ipV4(), fc.ipV6()),
        text => {
          const normalized = normalizeIp(text)
          expect(normalized === undefined).toBe(isIP(text) === 0)
          expect(isIP(normalized ?? '::')).not.toBe(0)
        }
      ),
      { seed, numRuns: 2_000 }
    )
  })
})

describe('ipOfMultiaddr', () => {
  it.each([
    ['/ip4/1.2.3.4/tcp/5', '1.2.3.4'],
    ['/ip4/1.2.3.4', '1.2.3.4'],
    ['/ip6/2001:DB8::1/tcp/5/p2p/QmcgpsyWgH8Y8ajJz1Cu72KnS5uo2Aa2LpzU7kinSupNKC', '2001:db8::1'],
    ['/ip6/::ffff:102:304/tcp/5', '1.2.3.4'],
    ['/ip6zone/eth0/ip6/fe80::1/tcp/5', 'fe80::1'],
    ['/ip6/fe80::1%eth0/tcp/5', 'fe80::1']
  ])('reads %s as %s', (text, ip) => {
    expect(ipOfMultiaddr(text)).toBe(ip)
  })

  it.each([
    '',
    '/',
    '1.2.3.4',
    '1.2.3.4:5',
    'ip4/1.2.3.4/tcp/5',
    'x/ip4/1.2.3.4/tcp/5',
    '/dns/example.org/tcp/5',
    '/dns4/1.2.3.4/tcp/5',
    '/unix/ip4/1.2.3.4',
    '/ip4',
    '/ip4/',
    '/ip4/1.2.3/tcp/5',
    '/ip4/::1/tcp/5',
    '/ip6/1.2.3.4/tcp/5',
    '/ip6zone/ip6/::1',
    '/IP4/1.2.3.4',
    `/ip4/1.2.3.4${'/tcp/5'.repeat(1_000)}`
  ])('is undefined for %s', text => {
    expect(ipOfMultiaddr(text)).toBeUndefined()
  })
})

describe('addressKey', () => {
  it.each([
    ['10.0.0.7', '10.0.0.7'],
    ['::ffff:10.0.0.7', '10.0.0.7'],
    ['2001:db8:0:1::5', '2001:db8:0:1::/64'],
    ['2001:db8:0:1:ffff:ffff:ffff:ffff', '2001:db8:0:1::/64'],
    ['2001:db8::5', '2001:db8::/64'],
    ['::1', '::/64'],
    ['fe80::1%eth0', 'fe80::/64']
  ])('charges %s as %s', (ip, subject) => {
    expect(addressKey(ip)).toBe(subject)
  })

  it('charges two IPv6 addresses together exactly when their first 64 bits are equal', () => {
    fc.assert(
      fc.property(groups, groups, fc.boolean(), (one, two, samePrefix) => {
        const other = samePrefix ? [...one.slice(0, 4), ...two.slice(4)] : two
        const [a, b] = [one, other].map(words => words.map(word => word.toString(16)).join(':'))
        fc.pre(a !== undefined && b !== undefined)
        fc.pre([a, b].every(ip => normalizeIp(ip)?.includes(':')))
        const equal = one.slice(0, 4).join() === other.slice(0, 4).join()
        expect(addressKey(a) === addressKey(b)).toBe(equal)
      }),
      { seed, numRuns: 2_000 }
    )
  })
})

describe('networkOf', () => {
  it.each([
    ['10.1.2.3', '10.1.2.0/24'],
    ['::ffff:10.1.2.3', '10.1.2.0/24'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1::/48'],
    ['fe80::1%eth0', 'fe80::/48'],
    ['', '']
  ])('of %s is %s', (ip, network) => {
    expect(networkOf(ip)).toBe(network)
  })
})
