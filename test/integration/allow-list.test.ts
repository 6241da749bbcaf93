import { generatePrivateKey, P2p, peerIdFromPrivateKey, publicKeyHash } from 'bitvmx-p2p'
import type { AllowListEntry, KeyType, P2pEvent } from 'bitvmx-p2p'
import { peerIdFromString } from '@libp2p/peer-id'
import { base36 } from 'multiformats/bases/base36'
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { connectLocal, launchLocal, observe, startLocal, stopLocal } from '../support/local-node.ts'
import type { LocalNode } from '../support/local-node.ts'
import { eventually } from '../support/proc.ts'
import { startTcpServer } from '../support/strangers.ts'

const KEY_TYPES = ['Ed25519', 'secp256k1', 'RSA'] satisfies KeyType[]
const UNLIMITED = { rateLimit: { capacity: 1_000_000, refillPerSecond: 0 } }

/** The node whose list is tested; every test begins with nobody on it. */
let picky: LocalNode
/** One peer of each key type; they let everybody in. */
let peers: Record<KeyType, LocalNode>
let keys: Record<KeyType, Uint8Array>
let stranger: string

beforeAll(async () => {
  stranger = peerIdFromPrivateKey(await generatePrivateKey())
  keys = Object.fromEntries(
    await Promise.all(KEY_TYPES.map(async type => [type, await generatePrivateKey(type)]))
  ) as typeof keys
  picky = await launchLocal({ ...UNLIMITED, allowList: [] })
  peers = Object.fromEntries(
    await Promise.all(
      KEY_TYPES.map(async type => [type, await launchLocal({ ...UNLIMITED, key: keys[type] })])
    )
  ) as typeof peers
})
beforeEach(async () => {
  picky.p2p.allowList.replace([])
  await eventually('nobody is connected', () =>
    Object.values(peers).every(({ p2p }) => p2p.runtime.inspect().peers.length === 0)
  )
  // No test takes what another has left.
  for (const node of [picky, ...Object.values(peers)]) {
    await node.settled()
    node.forget()
  }
})
afterAll(async () => Promise.all([picky, ...Object.values(peers)].map(stopLocal)))

/** A connection and a message, in both directions; whether the messages arrived. */
async function visits(peer: LocalNode): Promise<boolean[]> {
  const arrived = []
  for (const [from, to] of [
    [picky, peer],
    [peer, picky]
  ] as const) {
    await connectLocal(from, to)
    const id = from.sendMsg(to, Buffer.from('hello'))
    arrived.push((await from.event({ type: 'Status', id })).ok)
    from.p2p.sender.disconnectFrom(to.peerId)
    await Promise.all([
      from.event({ type: 'Disconnected', peerId: to.peerId }),
      to.event({ type: 'Disconnected', peerId: from.peerId })
    ])
  }
  return arrived
}
const WELCOME = [true, true]

/** What is said here and there when both dial each other in vain. */
interface Refusal {
  dialledHere: string
  dialledThere: string
  turnedAwayHere: string
  message: string | undefined
  connected: boolean
}

async function vainVisits(peer: LocalNode): Promise<Refusal> {
  const out = picky.dial(peer)
  const dialledHere = await picky.event({ type: 'Error', id: out, code: 'ERR_NOT_ALLOWED' })
  const into = peer.dial(picky)
  const dialledThere = await peer.event({ type: 'Error', id: into, code: 'ERR_DIAL_FAILED' })
  const turnedAwayHere = await picky.event({ type: 'Error', code: 'ERR_NOT_ALLOWED', peerId: peer.peerId })
  const message = picky.sendMsg(peer, Buffer.from('nobody reads this'))
  const status = await picky.event({ type: 'Status', id: message })
  await Promise.all([picky.settled(), peer.settled()])
  return {
    dialledHere: dialledHere.message,
    dialledThere: dialledThere.message,
    turnedAwayHere: turnedAwayHere.message,
    message: status.reason,
    connected: !apart(picky, peer) || !apart(peer, picky)
  }
}

function refusal(why: RegExp): Refusal {
  const words = expect.stringMatching(why) as string
  const there = expect.stringMatching(/denied by the remote/) as string
  return {
    dialledHere: words,
    dialledThere: there,
    turnedAwayHere: words,
    message: 'not-connected',
    connected: false
  }
}

/** Every Connected that this node was told of the other has been followed by a Disconnected. */
function apart(self: LocalNode, { peerId }: LocalNode): boolean {
  return self.count({ type: 'Connected', peerId }) === self.count({ type: 'Disconnected', peerId })
}

test('nobody is let in or dialled by a node that was given no list', async () => {
  const key = await generatePrivateKey()
  const p2p = await P2p.startAsync('127.0.0.1:0', key)
  const closed = observe(p2p)
  onTestFinished(async () => stopLocal(closed))
  expect(p2p.allowList.entries()).toEqual([])
  const peer = peers.Ed25519
  const out = closed.dial(peer)
  await closed.event({ type: 'Error', id: out, code: 'ERR_NOT_ALLOWED' })
  const into = peer.dial(closed)
  await peer.event({ type: 'Error', id: into, code: 'ERR_DIAL_FAILED' })
  await closed.event({ type: 'Error', peerId: peer.peerId, code: 'ERR_NOT_ALLOWED' })
  await Promise.all([closed.settled(), peer.settled()])
  expect(closed.count({ type: 'Connected' })).toBe(0)
  expect(peer.count({ type: 'Connected', peerId: closed.peerId })).toBe(0)
})

describe.each(KEY_TYPES)('a peer with an %s key', type => {
  test('is let in by its peer ID, by its key hash, and from the addresses of its entry', async () => {
    const { peerId } = peers[type]
    const hash = publicKeyHash(keys[type])
    const entries: AllowListEntry[] = [
      { peerId },
      { peerId: hash },
      { peerId, ips: ['10.0.0.0/8', '127.0.0.1'] },
      { peerId: hash.toUpperCase(), ips: ['127.0.0.0/8'] },
      { peerId: peerIdFromString(peerId).toCID().toString(base36) }
    ]
    for (const entry of entries) {
      picky.p2p.allowList.replace([entry])
      expect(await visits(peers[type])).toEqual(WELCOME)
    }
  })

  test('is let in and dialled at the address of one entry when that of its other name is another', async () => {
    const { peerId } = peers[type]
    const hash = publicKeyHash(keys[type])
    for (const [here, elsewhere] of [
      [hash, peerId],
      [peerId, hash]
    ] as const) {
      picky.p2p.allowList.replace([
        { peerId: elsewhere, ips: ['10.0.0.7'] },
        { peerId: here, ips: ['127.0.0.1'] }
      ])
      expect(await visits(peers[type])).toEqual(WELCOME)
    }
  })

  test('is turned away when only others are named, by peer ID or key hash', async () => {
    const otherHash = publicKeyHash(await generatePrivateKey())
    picky.p2p.allowList.replace([{ peerId: stranger }, { peerId: otherHash }])
    expect(await vainVisits(peers[type])).toEqual(refusal(/not on the allow list/))
  })

  test('is turned away from any other address than those of its entry, at the cost of that address', async () => {
    const before = debits(picky)
    for (const peerId of [peers[type].peerId, publicKeyHash(keys[type])]) {
      picky.p2p.allowList.replace([{ peerId, ips: ['127.0.0.2', '2001:db8::/32'] }])
      expect(await vainVisits(peers[type])).toEqual(refusal(/on the allow list, but not at 127\.0\.0\.1/))
    }
    expect(debits(picky) - before).toBe(2)
  })
})

/** What 127.0.0.1 has paid for showing up with names that are pinned to other addresses; nobody else may have paid. */
function debits({ p2p }: LocalNode): number {
  const { buckets } = p2p.runtime.inspect()
  expect(buckets.filter(({ ip }) => ip !== '127.0.0.1')).toEqual([])
  const tokens = buckets[0]?.tokens ?? 1_000_000
  const last = buckets[0]?.debits.at(-1)?.cause
  expect([undefined, 'unknown-peer', 'ip-mismatch']).toContain(last)
  return 1_000_000 - tokens
}

describe('a change of the list', () => {
  test('lets a peer in at once', async () => {
    const peer = peers.Ed25519
    expect(await vainVisits(peer)).toEqual(refusal(/not on the allow list/))
    picky.p2p.allowList.add({ peerId: peer.peerId })
    expect(await visits(peer)).toEqual(WELCOME)
    expect(picky.p2p.allowList.remove(peer.peerId)).toBe(true)
    expect(await vainVisits(peer)).toEqual(refusal(/not on the allow list/))
    expect(picky.p2p.allowList.remove(peer.peerId)).toBe(false)

    picky.p2p.allowList.allowAll(true)
    expect(await visits(peer)).toEqual(WELCOME)
    picky.p2p.allowList.allowAll(false)
    expect(await vainVisits(peer)).toEqual(refusal(/not on the allow list/))
  })

  test('shows in entries(), in canonical form', () => {
    const { allowList } = picky.p2p
    const hash = publicKeyHash(keys.RSA)
    const { peerId } = peers.secp256k1
    allowList.add({ peerId: hash.toUpperCase(), ips: ['10.1.2.3/8', '::FFFF:10.0.0.1', '2001:DB8::1'] })
    allowList.add({ peerId: peerIdFromString(peerId).toCID().toString(base36) })
    const entries = [{ peerId: hash, ips: ['10.0.0.0/8', '10.0.0.1', '2001:db8::1'] }, { peerId }]
    expect(allowList.entries()).toEqual(entries)
    allowList.entries()[0]!.ips!.push('0.0.0.0/0')
    expect(allowList.entries()).toEqual(entries)
    allowList.add({ peerId: hash })
    expect(allowList.entries()).toEqual([{ peerId: hash }, { peerId }])
    allowList.replace('allow-all')
    expect(allowList.entries()).toEqual([])
    expect(() => allowList.replace([{ peerId: stranger }, { peerId: 'nobody' }])).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_PEER_ID' })
    )
    expect(allowList.entries()).toEqual([])
  })

  test.for([
    ['removes the peer', (p2p: P2p, peerId: string): unknown => p2p.allowList.remove(peerId)],
    [
      'pins the peer to another address',
      (p2p: P2p, peerId: string): unknown => p2p.allowList.add({ peerId, ips: ['127.0.0.2'] })
    ],
    ['replaces the list', (p2p: P2p): unknown => p2p.allowList.replace([{ peerId: stranger }])]
  ] as const)(
    'that %s has severed the connection, with traffic in flight, when the call returns',
    async ([, change]) => {
      const bob = peers.Ed25519
      // Read by hand: what is there right after the call counts.
      const alice = await P2p.startAsync('127.0.0.1:0', await generatePrivateKey(), {
        allowList: [{ peerId: bob.peerId }, { peerId: publicKeyHash(keys.RSA) }]
      })
      onTestFinished(async () => {
        alice.stop()
        await alice.runtime.closed
      })
      alice.sender.dial(bob.peerId, bob.addresses[0]!)
      expect(alice.receiver.recv(30_000)).toMatchObject({ type: 'Connected' })
      await bob.event({ type: 'Connected', peerId: alice.peerId })
      const theirs = Array.from({ length: 1_000 }, () =>
        bob.sendMsg({ peerId: alice.peerId, addresses: [] }, Buffer.alloc(1_000))
      )
      const ours = Array.from({ length: 20_000 }, () => alice.sender.sendMsg(bob.peerId, Buffer.alloc(1_000)))
      const events: P2pEvent[] = []
      while (events.at(-1)?.type !== 'Status') events.push(alice.receiver.recv(30_000)!)

      change(alice, bob.peerId)
      events.push(...alice.receiver.drain())
      const statuses = events.filter(event => event.type === 'Status')
      expect(statuses.map(({ id }) => id)).toEqual(ours)
      const outcomes = new Set(statuses.map(({ ok, reason }) => (ok ? 'ok' : reason)))
      expect(outcomes).toEqual(new Set(['ok', 'connection-lost', 'not-connected']))
      expect(events.filter(({ type }) => type === 'Disconnected')).toMatchObject([{ peerId: bob.peerId }])

      await bob.event({ type: 'Disconnected', peerId: alice.peerId })
      for (const id of theirs) await bob.event({ type: 'Status', id })
      const delivered = bob.count({ type: 'Data', peerId: alice.peerId })
      expect(delivered).toBeGreaterThanOrEqual(statuses.filter(({ ok }) => ok).length)

      const back = bob.p2p.sender.dial(alice.peerId, alice.addresses[0]!)
      await bob.event({ type: 'Error', id: back, code: 'ERR_DIAL_FAILED' })
      const forth = alice.sender.dial(bob.peerId, bob.addresses[0]!)
      const answers = [alice.receiver.recv(30_000), alice.receiver.recv(30_000)]
      expect(answers).toMatchObject([
        { type: 'Error', code: 'ERR_NOT_ALLOWED', peerId: bob.peerId },
        { type: 'Error', code: 'ERR_NOT_ALLOWED', id: forth }
      ])
      expect(alice.receiver.drain()).toEqual([])
    }
  )

  test('has ended a dial under way, and the messages that wait for it, when the call returns', async () => {
    let connected = (): void => {}
    const underWay = new Promise<void>(resolve => (connected = resolve))
    const address = await startTcpServer(() => connected())
    // Read by hand: what is there right after the call counts.
    const allowList = [{ peerId: stranger }]
    const alice = await P2p.startAsync('127.0.0.1:0', await generatePrivateKey(), { allowList })
    onTestFinished(async () => {
      alice.stop()
      await alice.runtime.closed
    })
    const dial = alice.sender.dial(stranger, address)
    const message = alice.sender.sendMsg(stranger, Buffer.from('nobody reads this'))
    await underWay
    alice.allowList.remove(stranger)
    expect(alice.receiver.drain()).toMatchObject([
      { type: 'Error', code: 'ERR_DIAL_FAILED', id: dial },
      { type: 'Status', id: message, ok: false, reason: 'not-connected' }
    ])
    expect(alice.runtime.inspect().peers).toEqual([])
    expect(alice.receiver.drain()).toEqual([])
  })

  test('ends the dials that it no longer allows, before the call returns', async () => {
    const address = await startTcpServer(() => {})
    const { allowList } = picky.p2p
    // The key hash of somebody else makes the list open to peers of whom only the ID is known: not to these.
    const other = { peerId: publicKeyHash(keys.RSA) }
    allowList.replace([{ peerId: stranger }, { peerId: peers.secp256k1.peerId }, other])
    const gone = picky.p2p.sender.dial(stranger, address)
    const stays = picky.p2p.sender.dial(peers.secp256k1.peerId, address)
    allowList.remove(stranger)
    const { message } = await picky.event({ type: 'Error', id: gone, code: 'ERR_DIAL_FAILED' })
    expect(message).toMatch(/ended: no longer allowed by the allow list/)
    await picky.settled()
    expect(picky.count({ type: 'Error', id: stays })).toBe(0)
    allowList.replace([other])
    await picky.event({ type: 'Error', id: stays, code: 'ERR_DIAL_FAILED' })
  })

  test('to those who are named keeps them and severs the others', async () => {
    const { Ed25519: named, secp256k1: hashed, RSA: unnamed } = peers
    const { allowList } = picky.p2p
    allowList.replace('allow-all')
    await Promise.all([named, hashed, unnamed].map(async peer => connectLocal(peer, picky)))
    allowList.add({ peerId: named.peerId })
    allowList.add({ peerId: publicKeyHash(keys.secp256k1) })
    allowList.allowAll(false)
    await picky.event({ type: 'Disconnected', peerId: unnamed.peerId })
    await unnamed.event({ type: 'Disconnected', peerId: picky.peerId })
    for (const peer of [named, hashed]) {
      const id = picky.sendMsg(peer, Buffer.from('still here'))
      await picky.event({ type: 'Status', id, ok: true })
    }
    expect([apart(picky, named), apart(picky, hashed), apart(picky, unnamed)]).toEqual([false, false, true])
    allowList.replace([])
    for (const peer of [named, hashed]) {
      await picky.event({ type: 'Disconnected', peerId: peer.peerId })
      await peer.event({ type: 'Disconnected', peerId: picky.peerId })
    }
  })

  test('holds against a connection that is being made at that moment', async () => {
    const { Ed25519: peer } = peers
    const { allowList, runtime } = picky.p2p
    const clock = new Int32Array(new SharedArrayBuffer(4))
    for (let round = 0; round < 25; round++) {
      allowList.add({ peerId: peer.peerId })
      const id = peer.dial(picky)
      for (let i = 0; i < 100; i++) peer.sendMsg(picky, Buffer.alloc(10_000))
      // Another moment of the handshake, or of the first messages, in every round.
      Atomics.wait(clock, 0, 0, round)
      allowList.remove(peer.peerId)
      expect(runtime.inspect().peers).toEqual([])
      await eventually('the dial has failed or the connection is gone', () => {
        const reached = peer.count({ type: 'Connected', id }) === 1
        return reached ? apart(peer, picky) : peer.count({ type: 'Error', id }) === 1
      })
      expect(runtime.inspect().peers).toEqual([])
    }
    await Promise.all([picky.settled(), peer.settled()])
    expect([apart(peer, picky), apart(picky, peer)]).toEqual([true, true])
  })
})

test('two nodes that do not know each other are strangers to both until both lists name them', async () => {
  const nodes = await Promise.all([startLocal({ allowList: [] }), startLocal({ allowList: [] })])
  const [alice, bob] = nodes
  alice.p2p.allowList.add({ peerId: bob.peerId })
  const early = alice.dial(bob)
  await alice.event({ type: 'Error', id: early, code: 'ERR_DIAL_FAILED' })
  bob.p2p.allowList.add({ peerId: alice.peerId, ips: ['127.0.0.1'] })
  await connectLocal(alice, bob)
  expect([apart(alice, bob), apart(bob, alice)]).toEqual([false, false])
})
