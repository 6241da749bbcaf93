import { lookup } from 'node:dns/promises'
import { connect } from 'node:net'
import { generatePrivateKey, peerIdFromPrivateKey, publicKeyHash } from 'bitvmx-p2p'
import type { DialFailure, KeyType, P2pErrorCode, P2pEvent } from 'bitvmx-p2p'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import {
  bareAddress,
  connectLocal,
  launchLocal,
  portOf,
  startLocal,
  stopLocal
} from '../support/local-node.ts'
import type { LocalNode } from '../support/local-node.ts'
import { startBarePeer } from '../support/bare-peer.ts'
import { closedAddress, startFreezer, startTcpServer } from '../support/strangers.ts'

// Shared by the tests that leave no connection behind.
let alice: LocalNode
let bob: LocalNode
let bobKey: Uint8Array
/** A dialler that gives up soon. */
let hasty: LocalNode
let stranger: string

const HTTP = 'HTTP/1.1 400 Bad Request\r\nConnection: keep-alive\r\n\r\n'
const UNLIMITED = { rateLimit: { capacity: 1_000_000 } }

beforeAll(async () => {
  stranger = peerIdFromPrivateKey(await generatePrivateKey())
  alice = await launchLocal(UNLIMITED)
  bobKey = await generatePrivateKey()
  bob = await launchLocal({ ...UNLIMITED, key: bobKey, listen: ['127.0.0.1:0', '[::1]:0'] })
  hasty = await launchLocal({ ...UNLIMITED, limits: { handshakeTimeoutMs: 500 } })
})
afterAll(async () => Promise.all([alice, bob, hasty].map(stopLocal)))

/** Disconnects, and waits until both sides say so. */
async function part(from: LocalNode, to: LocalNode): Promise<void> {
  from.p2p.sender.disconnectFrom(to.peerId)
  await from.event({ type: 'Disconnected', peerId: to.peerId })
  await to.event({ type: 'Disconnected', peerId: from.peerId })
  await Promise.all([from.settled(), to.settled()])
}

/** How a dial failed, and what else was told about it. */
interface Failure {
  code: P2pErrorCode
  why: DialFailure | undefined
  message: string
  others: P2pEvent[]
}

/** Dials what cannot be dialled. */
async function failedDial(from: LocalNode, peerId: string, address: string): Promise<Failure> {
  const before = from.events.length
  const id = from.p2p.sender.dial(peerId, address)
  const error = await from.event({ type: 'Error', id, peerId })
  await from.settled()
  const others = from.events.slice(before).filter(event => event !== error)
  return { code: error.code, why: error.why, message: error.message, others }
}

/** One Error that says so, and not a word of anybody being connected. */
function failure(why: DialFailure, code: P2pErrorCode, words: RegExp): Failure {
  return { code, why, message: expect.stringMatching(words) as string, others: [] }
}

describe('a dial that succeeds', () => {
  test.for([
    ['an IPv4 address', 0],
    ['an IPv6 address', 1]
  ] as const)(
    'ends in one Connected on each side, with the id on the dialling side: %s',
    async ([, which]) => {
      const [from, to] = [alice.events.length, bob.events.length]
      const address = bob.addresses[which]!
      const id = alice.dial(bob, address)
      const connected = await alice.event({ type: 'Connected' })
      expect(connected).toEqual({
        type: 'Connected',
        peerId: bob.peerId,
        address: address.replace(/\/p2p\/.*/, ''),
        direction: 'outbound',
        id
      })
      const accepted = await bob.event({ type: 'Connected' })
      expect(accepted).toMatchObject({ peerId: alice.peerId, direction: 'inbound' })
      expect(accepted).not.toHaveProperty('id')

      await part(alice, bob)
      expect(alice.events.slice(from).map(event => event.type)).toEqual(['Connected', 'Disconnected'])
      expect(bob.events.slice(to).map(event => event.type)).toEqual(['Connected', 'Disconnected'])
      expect((await alice.p2p.runtime.inspectAsync()).buckets).toEqual([])
      expect((await bob.p2p.runtime.inspectAsync()).buckets).toEqual([])
    }
  )

  test('works by name', async () => {
    const { family } = await lookup('localhost')
    const id = alice.dial(bob, `localhost:${portOf(bob, family)}`)
    const connected = await alice.event({ type: 'Connected', peerId: bob.peerId, id })
    expect(connected.address).toMatch(new RegExp(`^/ip${family}/.*/tcp/${portOf(bob, family)}$`))
    await bob.event({ type: 'Connected', peerId: alice.peerId })
    await part(alice, bob)
  })

  test('is one Connected and no Error for several dials at once, and AlreadyConnected for each further one', async () => {
    const [from, to] = [alice.events.length, bob.events.length]
    const [first, ...others] = Array.from({ length: 10 }, () => alice.dial(bob))
    others.push(alice.dial(bob, bob.addresses[1]))
    const { address } = await alice.event({ type: 'Connected', id: first })
    await bob.event({ type: 'Connected' })
    others.push(alice.dial(bob))
    for (const id of others) {
      expect(await alice.event({ type: 'AlreadyConnected', id })).toEqual({
        type: 'AlreadyConnected',
        peerId: bob.peerId,
        keyHash: publicKeyHash(bobKey),
        address,
        id
      })
    }
    const back = bob.dial(alice)
    await bob.event({ type: 'AlreadyConnected', peerId: alice.peerId, id: back })
    // One goodbye ends it all: had there been a second connection or a dial left over, it would show now.
    await part(alice, bob)
    await connectLocal(alice, bob)
    await part(alice, bob)
    const told = (node: LocalNode, since: number): string[] =>
      node.events
        .slice(since)
        .map(event => event.type)
        .filter(type => type !== 'AlreadyConnected')
    const twice = ['Connected', 'Disconnected', 'Connected', 'Disconnected']
    expect(told(alice, from)).toEqual(twice)
    expect(told(bob, to)).toEqual(twice)
    expect(alice.count({ type: 'AlreadyConnected' })).toBe(others.length)
  })

  test('may follow one that failed, to the same peer at another address and at the same', async () => {
    const key = await generatePrivateKey()
    const first = await startLocal({ key })
    const wrong = alice.dial(first, bareAddress(bob))
    const right = alice.dial(first)
    await alice.event({ type: 'Error', id: wrong, code: 'ERR_PEER_MISMATCH' })
    await alice.event({ type: 'Connected', peerId: first.peerId, id: right })

    await stopLocal(first)
    await alice.event({ type: 'Disconnected', peerId: first.peerId })
    const offline = alice.dial(first)
    await alice.event({ type: 'Error', id: offline, code: 'ERR_DIAL_FAILED' })
    const second = await startLocal({ key, listen: bareAddress(first) })
    const online = alice.dial(second)
    await alice.event({ type: 'Connected', peerId: second.peerId, id: online })
    const accepted = await second.event({ type: 'Connected', peerId: alice.peerId })
    expect(accepted.direction).toBe('inbound')
  })
})

test('a dial to a peer whose connection has gone dead unnoticed makes a new one', async () => {
  const [from, to] = await Promise.all([startLocal({ limits: { handshakeTimeoutMs: 2_000 } }), startLocal()])
  const freezer = await startFreezer(portOf(to))
  from.dial(to, freezer.address)
  await from.event({ type: 'Connected', peerId: to.peerId })
  freezer.freeze()
  const lost = from.sendMsg(to, Buffer.from('nobody takes this'))
  // What was heard a second ago is not asked about.
  await new Promise(resolve => setTimeout(resolve, 1_000))
  const ids = [
    from.dial(to),
    from.dial(to),
    from.dial(to, to.addresses[0]!.replace('127.0.0.1', '127.0.0.2'))
  ]
  const status = await from.event({ type: 'Status', id: lost })
  expect(status).toMatchObject({ ok: false, reason: 'connection-lost' })
  await from.event({ type: 'Disconnected', peerId: to.peerId, code: 'silent' })
  await from.event({ type: 'Connected', peerId: to.peerId, id: ids[0] })
  for (const id of ids.slice(1)) await from.event({ type: 'AlreadyConnected', id })
  const sent = from.sendMsg(to, Buffer.from('hello'))
  await from.event({ type: 'Status', id: sent, ok: true })
})

describe('a dial to several addresses', () => {
  test('connects to the one where the peer is, past one that refuses and one where another is', async () => {
    const other = await startLocal()
    const addresses = [await closedAddress(), bareAddress(other), bareAddress(bob)]
    const id = alice.p2p.sender.dial(bob.peerId, addresses)
    const connected = await alice.event({ type: 'Connected', peerId: bob.peerId })
    expect(connected).toMatchObject({ id, address: bareAddress(bob) })
    await part(alice, bob)
    await other.settled()
    expect(other.count({ type: 'Connected' })).toBe(0)
  })

  test('leaves time for the peer when the server at another address never speaks', async () => {
    const shy = await startLocal({ limits: { handshakeTimeoutMs: 6_000 } })
    const addresses = [await startTcpServer(() => {}), bareAddress(bob)]
    const id = shy.p2p.sender.dial(bob.peerId, addresses)
    const connected = await shy.event({ type: 'Connected', peerId: bob.peerId })
    expect(connected).toMatchObject({ id, address: bareAddress(bob) })
    await part(shy, bob)
  })

  test('goes on when the peer does not admit it at one of them', async () => {
    const strict = await startLocal({
      allowList: [{ peerId: alice.peerId, ips: ['::1'] }],
      listen: ['127.0.0.1:0', '[::1]:0']
    })
    const id = alice.p2p.sender.dial(strict.peerId, strict.addresses)
    const connected = await alice.event({ type: 'Connected', peerId: strict.peerId })
    expect(connected).toMatchObject({ id, address: strict.addresses[1]!.replace(/\/p2p\/.*/, '') })
  })

  test('costs the peer nothing, and is joined by a dial to the same addresses', async () => {
    const peer = await startLocal({ listen: ['127.0.0.1:0', '[::1]:0'] })
    const before = alice.events.length
    const [id] = [peer.addresses, peer.addresses.toReversed()].map(addresses =>
      alice.p2p.sender.dial(peer.peerId, addresses)
    )
    await alice.event({ type: 'Connected', peerId: peer.peerId, id: id! })
    await peer.event({ type: 'Connected', peerId: alice.peerId })
    await part(alice, peer)
    expect(alice.events.slice(before).filter(event => event.type === 'Error')).toEqual([])
    expect(peer.count({ type: 'Connected' })).toBe(1)
    expect((await peer.p2p.runtime.inspectAsync()).buckets).toEqual([])
  })

  test('that fails ends in one Error that names what happened at each', async () => {
    const closed = await closedAddress()
    const id = alice.p2p.sender.dial(stranger, [closed, '127.255.255.255:4001', bareAddress(bob)])
    const error = await alice.event({ type: 'Error', id })
    expect(error).toMatchObject({ code: 'ERR_PEER_MISMATCH', why: 'mismatch', peerId: stranger })
    expect(error).not.toHaveProperty('ip')
    expect(error.message).toMatch(
      new RegExp(
        `dial to ${stranger} failed: .*/tcp/${closed.split(':')[1]} failed: connection refused.*; ` +
          `.*127\\.255\\.255\\.255.* failed: unreachable.*; .*/tcp/${portOf(bob)} is .*, wanted ${stranger}`
      )
    )
  })

  test('is not allowed when the list has the peer at none of them', async () => {
    onTestFinished(() => hasty.p2p.allowList.replace('allow-all'))
    hasty.p2p.allowList.replace([{ peerId: bob.peerId, ips: ['192.0.2.1'] }])
    const id = hasty.p2p.sender.dial(bob.peerId, bob.addresses)
    const error = await hasty.event({ type: 'Error', id })
    expect(error).toMatchObject({ code: 'ERR_NOT_ALLOWED', why: 'denied' })
    expect(error.message).toMatch(/not at 127\.0\.0\.1.*not at ::1/)
  })
})

describe('a dial that fails', () => {
  test.for(['Ed25519', 'secp256k1', 'RSA'] satisfies KeyType[])(
    'says that another peer is there when a peer with an %s key was wanted',
    async type => {
      const before = bob.events.length
      const wanted = peerIdFromPrivateKey(await generatePrivateKey(type))
      const words = new RegExp(`${portOf(bob)} is .*, wanted ${wanted}`)
      expect(await failedDial(alice, wanted, bareAddress(bob))).toEqual(
        failure('mismatch', 'ERR_PEER_MISMATCH', words)
      )
      // The ID of an RSA key is a hash, which Noise cannot compare: bob learns only afterwards that it was not meant.
      if (type === 'RSA') await bob.event({ type: 'Disconnected', peerId: alice.peerId })
      await bob.settled()
      const since = bob.events.slice(before).map(event => event.type)
      expect(since).toEqual(type === 'RSA' ? ['Connected', 'Disconnected'] : [])
    }
  )

  test('says that the connection was refused where nothing listens', async () => {
    const words = /connection refused: nothing listens there/
    expect(await failedDial(alice, stranger, await closedAddress())).toEqual(
      failure('refused', 'ERR_DIAL_FAILED', words)
    )
  })

  test('says that an address is unreachable', async () => {
    // A broadcast address: the kernel refuses to connect to it.
    const words = /unreachable \((ENETUNREACH|EHOSTUNREACH|EADDRNOTAVAIL)\)/
    expect(await failedDial(alice, stranger, '127.255.255.255:4001')).toEqual(
      failure('unreachable', 'ERR_DIAL_FAILED', words)
    )
  })

  test('says that a name cannot be resolved', async () => {
    const words = /the name cannot be resolved \((ENOTFOUND|EAI_AGAIN)\)/
    expect(await failedDial(alice, stranger, 'no-such-host.invalid:4001')).toEqual(
      failure('not-resolved', 'ERR_DIAL_FAILED', words)
    )
  })

  test('says that it timed out when the server there never speaks', async () => {
    const address = await startTcpServer(() => {})
    const words = /timed out: no connection in 500 ms/
    expect(await failedDial(hasty, stranger, address)).toEqual(failure('timed-out', 'ERR_DIAL_FAILED', words))
  })

  test('says that it timed out when the node there never admits it', async () => {
    const { peerId, addresses } = await startBarePeer({ hold: new Promise(() => {}) })
    const words = /timed out: connected, but not admitted in 500 ms/
    expect(await failedDial(hasty, peerId, addresses[0]!)).toEqual(
      failure('timed-out', 'ERR_DIAL_FAILED', words)
    )
  })

  test.for([
    ['answers', socket => void socket.once('data', () => socket.write(HTTP))],
    ['speaks first', socket => void socket.write(HTTP)]
  ] satisfies Array<[string, Parameters<typeof startTcpServer>[0]]>)(
    'says that something else speaks there when it %s',
    async ([, accept]) => {
      const address = await startTcpServer(accept)
      const words = /handshake did not complete: .*not multistream-select/
      expect(await failedDial(alice, stranger, address)).toEqual(
        failure('mismatch', 'ERR_DIAL_FAILED', words)
      )
    }
  )

  test.for([
    ['closes', socket => socket.end()],
    ['resets the connection', socket => socket.resetAndDestroy()]
  ] satisfies Array<[string, Parameters<typeof startTcpServer>[0]]>)(
    'says that the remote closed the connection when it %s at once',
    async ([, accept]) => {
      const address = await startTcpServer(accept)
      const words = /handshake did not complete: .*(the remote closed the connection)/
      expect(await failedDial(alice, stranger, address)).toEqual(failure('denied', 'ERR_DIAL_FAILED', words))
    }
  )

  test('says that the node there does not speak the protocol', async () => {
    const { peerId, addresses } = await startBarePeer({ speaks: false })
    const words = /does not speak \/bitvmx\/comms\/1\.0\.0/
    expect(await failedDial(alice, peerId, addresses[0]!)).toEqual(
      failure('mismatch', 'ERR_DIAL_FAILED', words)
    )
  })

  test('says that the remote denied it, and there who was turned away', async () => {
    onTestFinished(() => hasty.p2p.allowList.replace('allow-all'))
    hasty.p2p.allowList.replace([{ peerId: stranger }])
    const words = /denied by the remote/
    expect(await failedDial(alice, hasty.peerId, bareAddress(hasty))).toEqual(
      failure('denied', 'ERR_DIAL_FAILED', words)
    )
    const { message } = await hasty.event({ type: 'Error', code: 'ERR_NOT_ALLOWED', peerId: alice.peerId })
    expect(message).toMatch(/from 127\.0\.0\.1 was turned away: .*not on the allow list/)
    await hasty.settled()
    expect(hasty.count({ type: 'Connected' })).toBe(0)
  })

  test.for([
    ['names nobody', [], '127.0.0.1', /denied here: .*not on the allow list/],
    ['wants another address', ['127.0.0.2'], '127.0.0.1', /denied here: .*not at 127\.0\.0\.1/],
    ['wants another address, by name', ['192.0.2.1'], 'localhost', /denied here: .*not at /]
  ] as const)('says that it is denied here when the allow list %s', async ([, ips, host, words]) => {
    onTestFinished(() => hasty.p2p.allowList.replace('allow-all'))
    hasty.p2p.allowList.replace(ips.length === 0 ? [] : [{ peerId: bob.peerId, ips: [...ips] }])
    expect(await failedDial(hasty, bob.peerId, `${host}:${portOf(bob)}`)).toEqual(
      failure('denied', 'ERR_NOT_ALLOWED', words)
    )
    await bob.settled()
    expect(bob.count({ type: 'Connected', peerId: hasty.peerId })).toBe(0)
  })

  test('ends with its reason when the application disconnects from the peer meanwhile', async () => {
    const address = await startTcpServer(() => {})
    const id = alice.p2p.sender.dial(stranger, address)
    alice.p2p.sender.disconnectFrom(stranger)
    const { message, code } = await alice.event({ type: 'Error', id })
    expect(code).toBe('ERR_DIAL_FAILED')
    expect(message).toMatch(/ended: disconnected by this application/)
  })

  test('and was ended by a DisconnectFrom does not take with it the dial that follows, to the same address', async () => {
    let connected = (): void => {}
    const underWay = new Promise<void>(resolve => (connected = resolve))
    let connections = 0
    const address = await startTcpServer(socket => {
      // Nobody speaks on the first connection; bob does on the others.
      if (connections++ === 0) return connected()
      const onward = connect(portOf(bob), '127.0.0.1').on('error', () => {})
      socket.pipe(onward).pipe(socket)
    })
    const first = alice.dial(bob, address)
    await underWay
    alice.p2p.sender.disconnectFrom(bob.peerId)
    const second = alice.dial(bob, address)
    await alice.event({ type: 'Connected', peerId: bob.peerId, id: second })
    const { message } = await alice.event({ type: 'Error', id: first })
    expect(message).toMatch(/ended: disconnected by this application/)
    await bob.event({ type: 'Connected', peerId: alice.peerId })
    await part(alice, bob)
    expect(alice.count({ type: 'Error', id: second })).toBe(0)
  })
})
