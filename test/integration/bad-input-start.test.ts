import { generatePrivateKey, P2p, peerIdFromPrivateKey } from 'bitvmx-p2p'
import { beforeAll, describe, expect, test } from 'vitest'
import { DECEPTIVE, expectFailure, NO_OBJECTS, NO_STRINGS, NOT_CLONEABLE } from '../support/bad-input.ts'
import type { Case } from '../support/bad-input.ts'
import { eventually, threadCount } from '../support/proc.ts'

let key: Uint8Array
let keyHex: string
let other: string

beforeAll(async () => {
  key = await generatePrivateKey()
  keyHex = Buffer.from(key).toString('hex')
  other = peerIdFromPrivateKey(await generatePrivateKey())
})

/** Settings of options whose values are numbers, with values just outside their ranges. */
const LIMITS: Record<string, unknown[]> = {
  maxMessageBytes: [0, 268_435_456],
  ackTimeoutMs: [0, 2 ** 31],
  messageTimeoutMs: [0, 2 ** 31],
  handshakeTimeoutMs: [0, 2 ** 31],
  receiverMessages: [0, 2 ** 30 + 1],
  receiverBytes: [0, 2 ** 30 + 1],
  senderMessages: [0, 2 ** 30 + 1],
  senderBytes: [0, 2 ** 30 + 1],
  maxConnections: [0, 65_537]
}
const NO_NUMBERS = [null, '5', NaN, Infinity, -1, {}, 5n]

function startCases(start: (...args: never[]) => unknown): Case[] {
  const given = (...args: unknown[]): (() => unknown) => {
    return () => start(...(args as never[]))
  }
  const withOptions = (options: unknown): (() => unknown) => given('127.0.0.1:0', key, options)
  const cases: Case[] = []

  for (const [name, addr] of NO_STRINGS) {
    cases.push([`addr ${name}`, 'ERR_INVALID_ADDRESS', given(addr, key), name.replace('an object', 'object')])
  }
  for (const addr of [
    '',
    '4001',
    '127.0.0.1',
    '127.0.0.1:',
    '127.1:0',
    '127.0.0.1:65536',
    '127.0.0.1:04',
    '[::1%lo]:0'
  ]) {
    cases.push([`addr '${addr}'`, 'ERR_INVALID_ADDRESS', given(addr, key), `'${addr}'`, 'wanted'])
  }
  for (const addr of [
    'localhost:4001',
    '/dns4/localhost/tcp/1',
    '/ip4/127.0.0.1/udp/1',
    '/ip4/127.0.0.1',
    '/ip4/127.0.0.1/tcp/0/ws'
  ]) {
    cases.push([`addr '${addr}'`, 'ERR_INVALID_ADDRESS', given(addr, key), `'${addr}'`, 'wanted'])
  }
  cases.push(
    [
      'no addresses',
      'ERR_INVALID_ADDRESS',
      given([], key),
      'an array of 0',
      'wanted an address or an array of 1 to 64'
    ],
    ['65 addresses', 'ERR_INVALID_ADDRESS', given(Array(65).fill('127.0.0.1:0'), key), 'an array of 65'],
    ['an address left out', 'ERR_INVALID_ADDRESS', given(['127.0.0.1:0'].concat(Array(1)), key), 'undefined'],
    ['one bad address of two', 'ERR_INVALID_ADDRESS', given(['127.0.0.1:0', 'x'], key), "'x'"],
    ['an address of 10 MB', 'ERR_INVALID_ADDRESS', given('1'.repeat(1e7), key), '10000000 characters'],
    [
      'an address of somebody else',
      'ERR_INVALID_ADDRESS',
      given(`/ip4/127.0.0.1/tcp/0/p2p/${other}`, key),
      'names another peer than'
    ],
    ['the key as address', 'ERR_INVALID_ADDRESS', given(keyHex, key), `${keyHex.length} characters`]
  )

  for (const [name, privk] of NO_STRINGS) {
    const words = name.startsWith('a Uint8Array') ? '3 bytes' : 'wanted a Uint8Array or a string'
    cases.push([`key ${name}`, 'ERR_INVALID_KEY', given('127.0.0.1:0', privk), words])
  }
  const damaged = Uint8Array.from(key, (byte, i) => (i === 40 ? byte ^ 1 : byte))
  cases.push(
    ['an empty key', 'ERR_INVALID_KEY', given('127.0.0.1:0', ''), 'empty'],
    ['a key that is no hex', 'ERR_INVALID_KEY', given('127.0.0.1:0', `${keyHex}g!`), 'neither PEM nor hex'],
    ['half a digit too many', 'ERR_INVALID_KEY', given('127.0.0.1:0', `${keyHex}0`), 'odd'],
    ['a key that was cut', 'ERR_INVALID_KEY', given('127.0.0.1:0', keyHex.slice(0, -2)), 'characters'],
    ['a damaged key', 'ERR_INVALID_KEY', given('127.0.0.1:0', damaged), '68 bytes'],
    ['10 MB of key', 'ERR_INVALID_KEY', given('127.0.0.1:0', keyHex.repeat(80_000)), 'too long']
  )

  for (const [name, value] of NO_OBJECTS) {
    const shown = name
    cases.push(
      [
        `options ${name}`,
        'ERR_INVALID_OPTION',
        withOptions(value),
        `options is ${shown}`,
        'wanted an object'
      ],
      [`limits ${name}`, 'ERR_INVALID_OPTION', withOptions({ limits: value }), `limits is ${shown}`],
      [`rateLimit ${name}`, 'ERR_INVALID_OPTION', withOptions({ rateLimit: value }), `rateLimit is ${shown}`],
      [
        `costs ${name}`,
        'ERR_INVALID_OPTION',
        withOptions({ rateLimit: { costs: value } }),
        `rateLimit.costs is ${shown}`
      ]
    )
  }
  cases.push(
    ['a misspelt option', 'ERR_INVALID_OPTION', withOptions({ allowlist: [] }), "'allowlist'", 'allowList'],
    [
      'a misspelt limit',
      'ERR_INVALID_OPTION',
      withOptions({ limits: { acktimeoutMs: 1 } }),
      "'acktimeoutMs'"
    ],
    ['a misspelt rate', 'ERR_INVALID_OPTION', withOptions({ rateLimit: { refill: 1 } }), "'refill'"],
    [
      'a misspelt cause',
      'ERR_INVALID_OPTION',
      withOptions({ rateLimit: { costs: { 'unknown-pear': 1 } } }),
      "'unknown-pear'"
    ],
    ['an inherited name', 'ERR_INVALID_OPTION', withOptions(JSON.parse('{"__proto__":{}}')), "'__proto__'"],
    [
      'a worker of the web',
      'ERR_INVALID_OPTION',
      withOptions({ workerUrl: 'https://a.example/w.mjs' }),
      'https:'
    ],
    [
      'a worker as text',
      'ERR_INVALID_OPTION',
      withOptions({ workerUrl: new URL('data:text/plain,') }),
      'URL'
    ],
    [
      'a worker elsewhere',
      'ERR_INVALID_OPTION',
      withOptions({ workerUrl: 'file://a.example/w.mjs' }),
      'file:'
    ],
    ['a worker of no path', 'ERR_INVALID_OPTION', withOptions({ workerUrl: '' }), "workerUrl is ''"],
    [
      'a worker of 10 MB',
      'ERR_INVALID_OPTION',
      withOptions({ workerUrl: '/'.repeat(1e7) }),
      '10000000 characters',
      'wanted a file: URL or a path'
    ],
    ['a limit of fractions', 'ERR_INVALID_OPTION', withOptions({ limits: { ackTimeoutMs: 1.5 } }), '1.5']
  )
  for (const [name, bounds] of Object.entries(LIMITS)) {
    for (const value of [...NO_NUMBERS, ...bounds]) {
      const words = [`limits.${name} is `, 'wanted a whole number from'] as const
      cases.push([
        `${name} ${String(value)}`,
        'ERR_INVALID_OPTION',
        withOptions({ limits: { [name]: value } }),
        ...words
      ])
    }
  }
  for (const [name, value] of [...NO_STRINGS, ...DECEPTIVE]) {
    if (value === undefined) continue
    cases.push([
      `workerUrl ${name}`,
      'ERR_INVALID_OPTION',
      withOptions({ workerUrl: value }),
      'workerUrl is ',
      'wanted a file: URL or a path'
    ])
  }
  for (const [name, value] of DECEPTIVE) {
    const limits = withOptions({ limits: { maxConnections: value } })
    cases.push(
      [`maxConnections ${name}`, 'ERR_INVALID_OPTION', limits, 'limits.maxConnections is an object'],
      [`addr ${name}`, 'ERR_INVALID_ADDRESS', given(value, key), 'object'],
      [`key ${name}`, 'ERR_INVALID_KEY', given('127.0.0.1:0', value), 'wanted a Uint8Array or a string']
    )
  }
  for (const value of [...NO_NUMBERS, 1_000_001]) {
    cases.push(
      [
        'capacity',
        'ERR_INVALID_OPTION',
        withOptions({ rateLimit: { capacity: value } }),
        'rateLimit.capacity is '
      ],
      [
        'refill',
        'ERR_INVALID_OPTION',
        withOptions({ rateLimit: { refillPerSecond: value } }),
        'rateLimit.refillPerSecond is '
      ],
      [
        'a cost',
        'ERR_INVALID_OPTION',
        withOptions({ rateLimit: { costs: { 'unknown-peer': value } } }),
        'rateLimit.costs.unknown-peer is '
      ]
    )
  }
  cases.push(
    [
      'no capacity',
      'ERR_INVALID_OPTION',
      withOptions({ rateLimit: { capacity: 0 } }),
      'rateLimit.capacity is 0'
    ],
    [
      'an allow list in words',
      'ERR_INVALID_OPTION',
      withOptions({ allowList: 'allow_all' }),
      "'allow_all'",
      "'allow-all'"
    ]
  )
  return cases
}

// Whatever can be wrong is wrong before a thread is started, except for what only the allow list itself can judge.
describe.each([
  ['start', (...args: never[]) => P2p.start(...(args as unknown as Parameters<typeof P2p.start>))],
  [
    'startAsync',
    async (...args: never[]) => P2p.startAsync(...(args as unknown as Parameters<typeof P2p.startAsync>))
  ]
] as const)('P2p.%s', (_, start) => {
  test('refuses what it cannot use, names it, and leaves no thread behind', async () => {
    const threads = threadCount()
    const withList = (allowList: unknown): (() => unknown) => {
      return () => start(...(['127.0.0.1:0', key, { allowList }] as never[]))
    }
    const cases: Case[] = [
      ...startCases(start),
      ['a name', 'ERR_INVALID_PEER_ID', withList([{ peerId: 'nobody' }]), "'nobody'", 'wanted'],
      ['twice the same', 'ERR_INVALID_OPTION', withList([{ peerId: other }, { peerId: other }]), other],
      ...NOT_CLONEABLE.map(([name, value]): Case => [
        name,
        'ERR_INVALID_OPTION',
        withList([value]),
        'wanted plain objects'
      ])
    ]
    for (const one of cases) await expectFailure(one, keyHex)
    await eventually('no thread is left', () => threadCount() <= threads)
    expect(threadCount()).toBeLessThanOrEqual(threads)
  })
})
