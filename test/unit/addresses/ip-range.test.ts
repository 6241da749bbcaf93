import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatIpRange, parseIpRange } from '../../../src/addresses/index.ts'

const seed = 0x63696472

function canonical(text: string): string | undefined {
  const range = parseIpRange(text)
  return range === undefined ? undefined : formatIpRange(range)
}

describe('parseIpRange', () => {
  it.each([
    ['10.0.0.7', '10.0.0.7'],
    ['10.0.0.7/32', '10.0.0.7'],
    ['10.0.0.0/24', '10.0.0.0/24'],
    ['10.0.0.7/24', '10.0.0.0/24'],
    ['10.255.255.255/9', '10.128.0.0/9'],
    ['1.2.3.4/0', '0.0.0.0/0'],
    ['2001:DB8::/32', '2001:db8::/32'],
    ['2001:db8:1:2:3:4:5:6/33', '2001:db8::/33'],
    ['2001:db8::1/128', '2001:db8::1'],
    ['ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/127', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127'],
    ['::/0', '::/0'],
    ['::ffff:10.0.0.7', '10.0.0.7'],
    ['::ffff:10.1.2.3/104', '10.0.0.0/8'],
    ['::ffff:0:0/96', '0.0.0.0/0'],
    ['::ffff:10.0.0.7/128', '10.0.0.7']
  ])('reads %s as %s', (text, range) => {
    expect(canonical(text)).toBe(range)
    expect(canonical(range)).toBe(range)
  })

  it.each([
    '',
    '/',
    '/24',
    '10.0.0.0/',
    '10.0.0.0/33',
    '10.0.0.0/-1',
    '10.0.0.0/+8',
    '10.0.0.0/08',
    '10.0.0.0/8.0',
    '10.0.0.0/1e1',
    '10.0.0.0/ 8',
    '10.0.0.0/8/8',
    '10.0.0.0/255.0.0.0',
    '10.0/8',
    '::/129',
    '::/0128',
    'example.org',
    'example.org/24',
    '10.0.0.1-10.0.0.9',
    '10.0.0.*',
    'fe80::1%eth0',
    'fe80::%eth0/64',
    '::ffff:0:0/95',
    '::ffff:10.0.0.7/64',
    '/ip4/10.0.0.7',
    `::1/${'1'.repeat(1_000_000)}`
  ])('is undefined for %s', text => {
    expect(parseIpRange(text)).toBeUndefined()
  })

  it('clears the bits after the prefix and no others', () => {
    const words = fc.array(fc.integer({ min: 0, max: 0xffff }), { minLength: 8, maxLength: 8 })
    fc.assert(
      fc.property(words, fc.integer({ min: 0, max: 128 }), (address, prefix) => {
        fc.pre(address[0] !== 0)
        const range = parseIpRange(`${address.map(word => word.toString(16)).join(':')}/${prefix}`)
        const bits = BigInt(128 - prefix)
        const number = address.reduce((sum, word) => (sum << 16n) | BigInt(word), 0n)
        const network = (number >> bits) << bits
        const hex = network.toString(16).padStart(32, '0').match(/.{4}/g) ?? []
        expect(range).toEqual({
          kind: 'ip6',
          network: new URL(`http://[${hex.join(':')}]`).hostname.slice(1, -1),
          prefix,
          single: prefix === 128
        })
      }),
      { seed, numRuns: 2_000 }
    )
  })
})
