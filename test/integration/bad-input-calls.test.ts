import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as api from 'bitvmx-p2p'
import { generatePrivateKey, P2p, P2pError, peerIdFromPrivateKey } from 'bitvmx-p2p'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  any,
  DECEPTIVE,
  expectFailure,
  NO_OBJECTS,
  NO_PEER_IDS,
  NO_STRINGS,
  NOT_CLONEABLE
} from '../support/bad-input.ts'
import type { Case } from '../support/bad-input.ts'

let key: Uint8Array
let keyHex: string
let p2p: P2p
let other: string

beforeAll(async () => {
  key = await generatePrivateKey()
  keyHex = Buffer.from(key).toString('hex')
  other = peerIdFromPrivateKey(await generatePrivateKey())
  p2p = P2p.start('127.0.0.1:0', key, { limits: { maxMessageBytes: 1_000 } })
})
afterAll(async () => {
  p2p.stop()
  await p2p.runtime.closed
})

test('the sender channel refuses what is no command, no peer, no address and no message', async () => {
  const { sender } = p2p
  const self = p2p.peerId
  const cases: Case[] = []
  for (const [name, value] of [...NO_OBJECTS, ...NOT_CLONEABLE, ['undefined', undefined] as const]) {
    cases.push([`send ${name}`, 'ERR_INVALID_OPTION', () => sender.send(any(value)), 'not a command'])
    cases.push([
      `send of type ${name}`,
      'ERR_INVALID_OPTION',
      () => sender.send(any({ type: value })),
      "'SendMsg'"
    ])
    const message = (): unknown => sender.sendMsg(other, any(value))
    cases.push([`sendMsg of ${name}`, 'ERR_INVALID_OPTION', message, 'data is ', 'wanted a Uint8Array'])
  }
  for (const [name, value] of DECEPTIVE) {
    const message = (): unknown => sender.sendMsg(other, any(value))
    cases.push([
      `sendMsg of ${name}`,
      'ERR_INVALID_OPTION',
      message,
      'data is an object',
      'wanted a Uint8Array'
    ])
  }
  for (const [name, peerId] of [...NO_PEER_IDS, ...NOT_CLONEABLE]) {
    cases.push(
      [
        `dial ${name}`,
        'ERR_INVALID_PEER_ID',
        () => sender.dial(any(peerId), '127.0.0.1:1'),
        'Invalid peer ID'
      ],
      [
        `sendMsg to ${name}`,
        'ERR_INVALID_PEER_ID',
        () => sender.sendMsg(any(peerId), new Uint8Array(1)),
        'Invalid peer ID'
      ]
    )
    if (peerId !== undefined) {
      cases.push([
        `disconnectFrom ${name}`,
        'ERR_INVALID_PEER_ID',
        () => sender.disconnectFrom(any(peerId)),
        'wanted'
      ])
    }
  }
  const addresses = [
    ...NO_STRINGS,
    ...NOT_CLONEABLE,
    ["'127.0.0.1'", '127.0.0.1'],
    ["'127.0.0.1:0'", '127.0.0.1:0']
  ]
  for (const [name, address] of [...addresses, ["'0.0.0.0:1'", '0.0.0.0:1'], ["'a b:1'", 'a b:1']]) {
    cases.push([`dial at ${name}`, 'ERR_INVALID_ADDRESS', () => sender.dial(other, any(address)), 'address'])
  }
  cases.push(
    ['dial oneself', 'ERR_INVALID_PEER_ID', () => sender.dial(self, '127.0.0.1:1'), self, 'own peer ID'],
    [
      'sendMsg to oneself',
      'ERR_INVALID_PEER_ID',
      () => sender.sendMsg(self, new Uint8Array(1)),
      'own peer ID'
    ],
    ['the key as peer ID', 'ERR_INVALID_PEER_ID', () => sender.dial(keyHex, '127.0.0.1:1'), 'characters'],
    [
      'an address of another peer',
      'ERR_INVALID_ADDRESS',
      () => sender.dial(other, `/ip4/127.0.0.1/tcp/1/p2p/${self}`),
      'names another peer than'
    ],
    [
      'a message that is too large',
      'ERR_MESSAGE_TOO_LARGE',
      () => sender.sendMsg(other, new Uint8Array(1_001)),
      '1001 bytes',
      'limits.maxMessageBytes is 1000'
    ]
  )
  for (const one of cases) await expectFailure(one, keyHex)
  // None of it was handed over.
  await p2p.runtime.inspectAsync()
  expect(p2p.receiver.drain()).toEqual([])
})

test('the receiving channels refuse what is no time, no number and no signal', async () => {
  for (const channel of [p2p.receiver, p2p.priority]) {
    const cases: Case[] = []
    for (const value of [null, '5', NaN, -1, {}, 5n, Symbol('s')]) {
      cases.push(
        ['recv', 'ERR_INVALID_OPTION', () => channel.recv(any(value)), 'timeoutMs is ', 'wanted a number'],
        ['drain', 'ERR_INVALID_OPTION', () => channel.drain(any(value)), 'max is ', 'wanted a whole number']
      )
    }
    for (const value of [null, 5, 'x', true]) {
      cases.push(
        [
          'recvAsync',
          'ERR_INVALID_OPTION',
          async () => channel.recvAsync(any(value)),
          'options is ',
          'wanted { signal? }'
        ],
        [
          'signal',
          'ERR_INVALID_OPTION',
          async () => channel.recvAsync({ signal: any(value) }),
          'signal is ',
          'AbortSignal'
        ]
      )
    }
    cases.push(['half an event', 'ERR_INVALID_OPTION', () => channel.drain(1.5), '1.5'])
    for (const one of cases) await expectFailure(one, keyHex)
    await expect(
      channel.recvAsync({ signal: AbortSignal.abort(new Error('changed my mind')) })
    ).rejects.toThrow('changed my mind')
  }
})

test('the allow list refuses what names nobody and no address, and stays as it was', async () => {
  const { allowList } = p2p
  const before = [{ peerId: other, ips: ['10.0.0.1'] }]
  allowList.replace(before)
  const cases: Case[] = []
  for (const [name, value] of NO_OBJECTS) {
    cases.push(
      [`add ${name}`, 'ERR_INVALID_OPTION', () => allowList.add(any(value)), name, 'wanted { peerId, ips? }'],
      [`replace ${name}`, 'ERR_INVALID_OPTION', () => allowList.replace(any(value)), 'wanted'],
      [`replace [${name}]`, 'ERR_INVALID_OPTION', () => allowList.replace(any([value])), name]
    )
  }
  for (const [name, peerId] of NO_PEER_IDS) {
    cases.push(
      [`add peer ${name}`, 'ERR_INVALID_PEER_ID', () => allowList.add(any({ peerId })), 'wanted the peer ID'],
      [`remove ${name}`, 'ERR_INVALID_PEER_ID', () => allowList.remove(any(peerId)), 'wanted the peer ID']
    )
  }
  for (const ip of [
    '',
    '10.0.0',
    '10.0.0.1/33',
    '10.0.0.1/-1',
    '10.0.0.0/8/8',
    '::1::',
    'localhost',
    7,
    null,
    undefined
  ]) {
    const add = (): void => allowList.add({ peerId: other, ips: [any(ip)] })
    cases.push([`address ${String(ip)}`, 'ERR_INVALID_ADDRESS', add, 'Invalid IP address'])
  }
  for (const ips of [[], null, '10.0.0.1', {}, Array(1_025).fill('10.0.0.1')]) {
    cases.push([
      'addresses',
      'ERR_INVALID_OPTION',
      () => allowList.add({ peerId: other, ips: any(ips) }),
      'Invalid ips'
    ])
  }
  for (const value of [undefined, null, 0, 1, 'true', {}]) {
    cases.push([
      'allowAll',
      'ERR_INVALID_OPTION',
      () => allowList.allowAll(any(value)),
      'wanted true or false'
    ])
  }
  for (const [name, value] of NOT_CLONEABLE) {
    const words = 'wanted plain objects'
    cases.push(
      [`add ${name}`, 'ERR_INVALID_OPTION', () => allowList.add(any(value)), words],
      [`add peer ${name}`, 'ERR_INVALID_OPTION', () => allowList.add(any({ peerId: value })), words],
      [
        `add address ${name}`,
        'ERR_INVALID_OPTION',
        () => allowList.add({ peerId: other, ips: [any(value)] }),
        words
      ],
      [`remove ${name}`, 'ERR_INVALID_OPTION', () => allowList.remove(any(value)), words],
      [`replace ${name}`, 'ERR_INVALID_OPTION', () => allowList.replace(any(value)), words],
      [`allowAll ${name}`, 'ERR_INVALID_OPTION', () => allowList.allowAll(any(value)), words]
    )
  }
  cases.push(['the key as name', 'ERR_INVALID_PEER_ID', () => allowList.remove(keyHex), 'characters'])
  for (const one of cases) await expectFailure(one, keyHex)
  expect(allowList.entries()).toEqual(before)
})

test('the functions for keys and allow list files refuse what they cannot read', async () => {
  const cases: Case[] = []
  for (const type of ['ed25519', 'ECDSA', '', null, 5, {}]) {
    cases.push(['key type', 'ERR_INVALID_OPTION', async () => generatePrivateKey(any(type)), 'Ed25519'])
  }
  for (const [name, value] of [...NO_STRINGS, ...NOT_CLONEABLE, ['the key, cut', keyHex.slice(2)] as const]) {
    cases.push([`peer ID of ${name}`, 'ERR_INVALID_KEY', () => peerIdFromPrivateKey(any(value)), 'key'])
    cases.push([`hash of ${name}`, 'ERR_INVALID_KEY', () => api.publicKeyHash(any(value)), 'key'])
  }
  for (const value of [undefined, null, 5, {}, Symbol('s')]) {
    cases.push(['parse', 'ERR_INVALID_OPTION', () => api.parseAllowList(any(value)), 'wanted'])
    cases.push(['format', 'ERR_INVALID_OPTION', () => api.formatAllowList(any(value)), 'wanted'])
    cases.push(['read', 'ERR_INVALID_OPTION', () => api.readAllowListFile(any(value)), 'wanted'])
    cases.push(['write', 'ERR_INVALID_OPTION', () => api.writeAllowListFile(any(value), []), 'wanted'])
  }
  const absent = join(tmpdir(), 'bitvmx-p2p-no-such-directory', 'allow.yaml')
  for (const one of cases) await expectFailure(one, keyHex)
  expect(() => api.readAllowListFile(absent)).toThrow(
    expect.objectContaining({
      code: 'ERR_INVALID_OPTION',
      message: expect.stringContaining(absent) as string
    })
  )
})

test('after the end every call says that the runtime has ended', async () => {
  const ended = P2p.start('127.0.0.1:0', key)
  ended.stop()
  await ended.runtime.closed
  const calls: Record<string, () => unknown> = {
    dial: () => ended.sender.dial(other, '127.0.0.1:1'),
    sendMsg: () => ended.sender.sendMsg(other, new Uint8Array(1)),
    disconnectFrom: () => ended.sender.disconnectFrom(other),
    add: () => ended.allowList.add({ peerId: other }),
    remove: () => ended.allowList.remove(other),
    replace: () => ended.allowList.replace([]),
    allowAll: () => ended.allowList.allowAll(true),
    entries: () => ended.allowList.entries(),
    inspect: () => ended.runtime.inspect(),
    inspectAsync: async () => ended.runtime.inspectAsync()
  }
  for (const [name, call] of Object.entries(calls)) {
    const error: unknown = await (async () => call())().catch((err: unknown) => err)
    expect(error, `after the end: ${name}`).toBeInstanceOf(P2pError)
    expect(error, `after the end: ${name}`).toMatchObject({
      code: 'ERR_CLOSED',
      message: expect.stringContaining('ended') as string
    })
  }
  ended.stop()
  expect(ended.sender.disconnectFrom()).toBeGreaterThan(0)
  expect(ended.receiver.recv()).toBeUndefined()
  expect(await ended.receiver.recvAsync()).toBeUndefined()
  expect(ended.receiver.drain()).toEqual([])
})
