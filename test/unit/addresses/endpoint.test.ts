import * as fc from 'fast-check'
import { multiaddr } from '@multiformats/multiaddr'
import { describe, expect, it } from 'vitest'
import {
  normalizeIp,
  parseDialAddress,
  parseListenAddress,
  toMultiaddr,
  type Endpoint
} from '../../../src/addresses/index.ts'
import { P2pError } from '../../../src/errors.ts'

const seed = 0x61646472
const PEER = '12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5'
const RSA_PEER = 'QmcgpsyWgH8Y8ajJz1Cu72KnS5uo2Aa2LpzU7kinSupNKC'
/** RSA_PEER as a CIDv1 in base32 */
const RSA_PEER_CID = 'bafzbeigvf25ytwc3akrijfecaotc74udrhcxzh2cx3we5qqnw5vgrei4bm'

const both: Array<[string, Endpoint]> = [
  ['127.0.0.1:4001', { kind: 'ip4', host: '127.0.0.1', port: 4001 }],
  ['10.0.0.7:65535', { kind: 'ip4', host: '10.0.0.7', port: 65_535 }],
  ['[::1]:4001', { kind: 'ip6', host: '::1', port: 4001 }],
  ['[2001:DB8:0::A]:1', { kind: 'ip6', host: '2001:db8::a', port: 1 }],
  ['[::ffff:10.0.0.7]:4001', { kind: 'ip4', host: '10.0.0.7', port: 4001 }],
  ['/ip4/127.0.0.1/tcp/4001', { kind: 'ip4', host: '127.0.0.1', port: 4001 }],
  ['/ip4/127.0.0.1/tcp/4001/', { kind: 'ip4', host: '127.0.0.1', port: 4001 }],
  ['/ip6/2001:DB8::0A/tcp/4001', { kind: 'ip6', host: '2001:db8::a', port: 4001 }],
  ['/ip6/::ffff:10.0.0.7/tcp/4001', { kind: 'ip4', host: '10.0.0.7', port: 4001 }],
  [`/ip4/127.0.0.1/tcp/4001/p2p/${PEER}`, { kind: 'ip4', host: '127.0.0.1', port: 4001, peerId: PEER }],
  [`/ip6/::1/tcp/4001/ipfs/${RSA_PEER}`, { kind: 'ip6', host: '::1', port: 4001, peerId: RSA_PEER }],
  [`/ip6/::1/tcp/4001/p2p/${RSA_PEER_CID}`, { kind: 'ip6', host: '::1', port: 4001, peerId: RSA_PEER }]
]

const listenOnly: Array<[string, Endpoint]> = [
  ['127.0.0.1:0', { kind: 'ip4', host: '127.0.0.1', port: 0 }],
  ['[::1]:0', { kind: 'ip6', host: '::1', port: 0 }],
  ['/ip6/::1/tcp/0', { kind: 'ip6', host: '::1', port: 0 }],
  ['0.0.0.0:4001', { kind: 'ip4', host: '0.0.0.0', port: 4001 }],
  ['[::]:4001', { kind: 'ip6', host: '::', port: 4001 }],
  ['/ip4/0.0.0.0/tcp/4001', { kind: 'ip4', host: '0.0.0.0', port: 4001 }],
  ['/ip6/0:0::0/tcp/4001', { kind: 'ip6', host: '::', port: 4001 }],
  ['[::ffff:0.0.0.0]:4001', { kind: 'ip4', host: '0.0.0.0', port: 4001 }]
]

const dialOnly: Array<[string, Endpoint]> = [
  ['node.example.org:4001', { kind: 'dns', host: 'node.example.org', port: 4001 }],
  ['LocalHost:4001', { kind: 'dns', host: 'localhost', port: 4001 }],
  ['bitvmx_node-1:4001', { kind: 'dns', host: 'bitvmx_node-1', port: 4001 }],
  ['3com.example:4001', { kind: 'dns', host: '3com.example', port: 4001 }],
  ['/dns/node.example.org/tcp/4001', { kind: 'dns', host: 'node.example.org', port: 4001 }],
  ['/dns4/Node.Example/tcp/1', { kind: 'dns4', host: 'node.example', port: 1 }],
  [`/dns6/node.example/tcp/1/p2p/${PEER}`, { kind: 'dns6', host: 'node.example', port: 1, peerId: PEER }]
]

const label = 'a'.repeat(63)
const neither: unknown[] = [
  undefined,
  null,
  4001,
  {},
  ['127.0.0.1:4001'],
  new Uint8Array(8),
  '',
  ' ',
  ':',
  ':4001',
  '4001',
  '/',
  '127.0.0.1',
  '127.0.0.1:',
  '127.0.0.1:65536',
  '127.0.0.1:99999',
  '127.0.0.1:999999',
  '127.0.0.1:-1',
  '127.0.0.1:+1',
  '127.0.0.1:04001',
  '127.0.0.1:1e3',
  '127.0.0.1:0x10',
  '127.0.0.1:4001 ',
  ' 127.0.0.1:4001',
  '127.0.0.1:4001\n',
  '127.0.0.1:4001/p2p/x',
  '256.0.0.1:4001',
  '127.1:4001',
  '2130706433:4001',
  '0x7f000001:4001',
  '0177.0.0.1:4001',
  '[127.0.0.1]:4001',
  '::1:4001',
  '[::1]',
  '[::1]4001',
  '[::g]:4001',
  '[node.example]:4001',
  'a..b:4001',
  '.a:4001',
  'a.:4001',
  '-a.b:4001',
  'a-.b:4001',
  'a b:4001',
  'ä.example:4001',
  `${label}a.example:4001`,
  `${label}.${label}.${label}.${label}:4001`,
  'user@node.example:4001',
  'http://node.example:4001',
  'tcp://127.0.0.1:4001',
  '/ip4/127.0.0.1',
  '/ip4/127.0.0.1/tcp',
  '/ip4/127.0.0.1/tcp/65536',
  '/ip4/127.0.0.1/tcp/04001',
  '/ip4/::1/tcp/4001',
  '/ip6/127.0.0.1/tcp/4001',
  '/ip4/127.0.0.1/udp/4001',
  '/ip4/127.0.0.1/udp/4001/quic-v1',
  '/ip4/127.0.0.1/tcp/4001/ws',
  '/ip4/127.0.0.1/tcp/4001/tls/ws',
  '/ip4/127.0.0.1/tcp/4001/http',
  '/ip4/127.0.0.1/tcp/4001/tcp/4001',
  '/ip4/127.0.0.1/ipcidr/8',
  `/ip4/127.0.0.1/tcp/4001/p2p/${PEER}/p2p-circuit`,
  `/ip4/127.0.0.1/tcp/4001/p2p/${PEER}/p2p/${PEER}`,
  '/ip4/127.0.0.1/tcp/4001/p2p',
  '/ip4/127.0.0.1/tcp/4001/p2p/not-a-peer',
  `/p2p/${PEER}`,
  `/tcp/4001/ip4/127.0.0.1`,
  '/ip4/127.0.0.1/tcp/4001/ip4/127.0.0.1/tcp/4001',
  '/dnsaddr/node.example/tcp/4001',
  '/dns/127.0.0.1/tcp/4001',
  '/dns4/0/tcp/4001',
  '/dns/a..b/tcp/4001',
  '/onion3/vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd:1234',
  '/unix/tmp/socket',
  '/unix/%2Ftmp%2Fsocket',
  '/memory/x',
  '/nonsense/x',
  // zones
  '[fe80::1%eth0]:4001',
  '[fe80::1%25eth0]:4001',
  '/ip6/fe80::1%eth0/tcp/4001',
  '/ip6zone/eth0/ip6/fe80::1/tcp/4001',
  // too long
  `${'a.'.repeat(300)}a:4001`,
  `/ip4/127.0.0.1/tcp/4001${'/'.repeat(1_000_000)}`
]

function refusal(parse: (text: unknown) => Endpoint, value: unknown): P2pError {
  try {
    parse(value)
  } catch (err) {
    if (err instanceof P2pError) return err
    throw err
  }
  throw new Error(`accepted ${String(value)}`)
}

describe('parseListenAddress', () => {
  it.each([...both, ...listenOnly])('reads %s', (text, endpoint) => {
    expect(parseListenAddress(text)).toStrictEqual(endpoint)
  })

  it.each([...neither, ...dialOnly.map(([text]) => text)].map(value => [value]))('refuses %j', value => {
    const err = refusal(parseListenAddress, value)
    expect(err.code).toBe('ERR_INVALID_ADDRESS')
    expect(err.message).toMatch(/^Invalid listen address .*wanted 'ip:port'.*port 0 to 65535$/s)
  })
})

describe('parseDialAddress', () => {
  it.each([...both, ...dialOnly])('reads %s', (text, endpoint) => {
    expect(parseDialAddress(text)).toStrictEqual(endpoint)
  })

  it.each([...neither, ...listenOnly.map(([text]) => text)].map(value => [value]))('refuses %j', value => {
    const err = refusal(parseDialAddress, value)
    expect(err.code).toBe('ERR_INVALID_ADDRESS')
    expect(err.message).toMatch(/^Invalid dial address .*wanted 'ip:port'.*port 1 to 65535$/s)
  })
})

describe('an address that is refused', () => {
  it('is named, with what is wrong', () => {
    expect(refusal(parseDialAddress, '127.0.0.1').message).toContain(
      "'127.0.0.1': not one of the accepted forms"
    )
    expect(refusal(parseDialAddress, '127.0.0.1:0').message).toContain('port 0 is out of range')
    expect(refusal(parseListenAddress, '127.0.0.1:70000').message).toContain('port 70000 is out of range')
    expect(refusal(parseDialAddress, '0.0.0.0:1').message).toContain('the unspecified address names no node')
    expect(refusal(parseListenAddress, 'localhost:1').message).toContain('an IP address is needed')
    expect(refusal(parseListenAddress, '[fe80::1%eth0]:1').message).toContain('zones')
    expect(refusal(parseListenAddress, 42).message).toContain('42: not a string')
    expect(refusal(parseListenAddress, '/ip4/x/tcp/1').cause).toBeInstanceOf(Error)
  })

  it('is not repeated when it is as long as a private key', () => {
    const hex = `08011240${'1f'.repeat(64)}`
    const pem = `-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEI${'f/'.repeat(22)}\n-----END PRIVATE KEY-----\n`
    for (const key of [hex, pem]) {
      expect(refusal(parseListenAddress, key).message).toContain(`(a text of ${key.length} characters)`)
      expect(refusal(parseListenAddress, key).message).not.toContain(key.slice(0, 30))
    }
  })
})

const ips = fc
  .oneof(fc.ipV4(), fc.ipV6())
  .map(ip => normalizeIp(ip) ?? '')
  .filter(ip => ip !== '0.0.0.0' && ip !== '::')
const names = fc.domain().map(name => name.toLowerCase())
const hosts = fc.oneof(
  ips.map(host => ({ kind: host.includes(':') ? ('ip6' as const) : ('ip4' as const), host })),
  fc.record({ kind: fc.constantFrom('dns' as const, 'dns4' as const, 'dns6' as const), host: names })
)
const endpoints = fc
  .tuple(hosts, fc.integer({ min: 1, max: 65_535 }), fc.constantFrom(undefined, PEER, RSA_PEER))
  .map(([host, port, peerId]): Endpoint =>
    peerId === undefined ? { ...host, port } : { ...host, port, peerId }
  )

describe('toMultiaddr', () => {
  it('writes a multiaddr that libp2p writes the same way, and that reads back as the same endpoint', () => {
    fc.assert(
      fc.property(endpoints, endpoint => {
        const text = toMultiaddr(endpoint)
        expect(multiaddr(text).toString()).toBe(text)
        expect(parseDialAddress(text)).toStrictEqual(endpoint)
      }),
      { seed, numRuns: 1_000 }
    )
  })
})

/** The endpoint of a text, or the code of the error. */
function outcome(parse: (text: unknown) => Endpoint, text: string): Endpoint | string {
  try {
    return parse(text)
  } catch (err) {
    if (err instanceof P2pError) return err.code
    throw err
  }
}

it('any text is an endpoint that its multiaddr gives again, or ERR_INVALID_ADDRESS', () => {
  const pieces = [
    '/ip4/',
    '/ip6/',
    '/dns/',
    '/tcp/',
    '/p2p/',
    '1.2.3.4',
    '::1',
    '[',
    ']',
    ':',
    '40',
    'a.b',
    PEER
  ]
  const soup = fc.array(fc.constantFrom(...pieces), { maxLength: 8 }).map(all => all.join(''))
  fc.assert(
    fc.property(
      fc.oneof(fc.string(), soup),
      fc.constantFrom(parseListenAddress, parseDialAddress),
      (text, parse) => {
        const endpoint = outcome(parse, text)
        const again = typeof endpoint === 'string' ? 'ERR_INVALID_ADDRESS' : parse(toMultiaddr(endpoint))
        expect(endpoint).toStrictEqual(again)
      }
    ),
    { seed, numRuns: 5_000 }
  )
})
