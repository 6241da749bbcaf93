/**
 * A connection is alive while the peer is heard (docs/decisions/0013): what an application is told of peers that are
 * stopped, cut off, or come again, with short heartbeats. Stopping a process (SIGSTOP) leaves its sockets to the kernel,
 * which goes on acknowledging: nothing but silence tells that nobody is there.
 */
import { spawnSync } from 'node:child_process'
import { generatePrivateKey, peerIdFromPrivateKey } from 'bitvmx-p2p'
import type { P2p, P2pEvent, RuntimeSnapshot } from 'bitvmx-p2p'
import type { Stream } from '@libp2p/interface'
import { describe, expect, onTestFinished, test } from 'vitest'
import { startProgram } from '../adversarial/program.ts'
import { PROTOCOL, startBarePeer } from '../support/bare-peer.ts'
import { frame } from '../support/frames.ts'
import { connectLocal, portOf, startLocal } from '../support/local-node.ts'
import type { LocalNode, Reachable } from '../support/local-node.ts'
import { LONG, startNode } from '../support/node-process.ts'
import { suspend } from '../support/proc.ts'

const HEARTBEAT_MS = 1_000
/** Response times shorter than the silence that ends a connection: messages run out of time before. */
const LIMITS = { ackTimeoutMs: 500 }

type Status = Extract<P2pEvent, { type: 'Status' }>

const sleep = async (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

async function buckets({ p2p }: LocalNode): Promise<RuntimeSnapshot['buckets']> {
  return (await p2p.runtime.inspectAsync()).buckets
}

/** Sends a message every so often until the action has come true; the ids. */
async function sendingEvery<T>(
  ms: number,
  node: LocalNode,
  to: Reachable,
  action: Promise<T>
): Promise<number[]> {
  const ids: number[] = []
  const timer = setInterval(() => ids.push(node.sendMsg(to, Buffer.from('are you there?'))), ms)
  try {
    await action
  } finally {
    clearInterval(timer)
  }
  return ids
}

function statusesOf(node: LocalNode): Status[] {
  return node.events.filter((event): event is Status => event.type === 'Status')
}

async function expectDelivery(from: LocalNode, to: Reachable): Promise<void> {
  const id = from.sendMsg(to, Buffer.from('hello'))
  expect(await from.event({ type: 'Status', id })).toMatchObject({ ok: true })
}

describe('a peer whose process is stopped', () => {
  test('is gone after three heartbeats when nothing is said, and nobody is charged', async () => {
    const [alice, bob] = await Promise.all([startLocal({ heartbeatMs: HEARTBEAT_MS }), startNode()])
    alice.dial(bob)
    await alice.event({ type: 'Connected', peerId: bob.peerId })
    await suspend(bob.pid)
    const begin = performance.now()
    await alice.event({ type: 'Disconnected', peerId: bob.peerId, code: 'silent' })
    expect(performance.now() - begin).toBeGreaterThan(2 * HEARTBEAT_MS)
    await alice.settled()
    expect(alice.count({ type: 'Disconnected' })).toBe(1)
    expect(await buckets(alice)).toEqual([])
  })

  test('is gone as soon when messages are written to it all the time; none of them costs it a token', async () => {
    const [alice, bob] = await Promise.all([
      startLocal({ heartbeatMs: HEARTBEAT_MS, limits: LIMITS }),
      startNode()
    ])
    alice.dial(bob)
    await alice.event({ type: 'Connected', peerId: bob.peerId })
    await expectDelivery(alice, bob)
    await suspend(bob.pid)
    const begin = performance.now()
    const gone = alice.event({ type: 'Disconnected', peerId: bob.peerId, code: 'silent' })
    const ids = await sendingEvery(100, alice, bob, gone)
    expect(performance.now() - begin).toBeLessThan(10 * HEARTBEAT_MS)
    expect(ids.length).toBeGreaterThan(12)
    await alice.event({ type: 'Status', id: ids.at(-1) })
    const reasons = statusesOf(alice).slice(1)
    expect(new Set(reasons.map(({ reason }) => reason))).toEqual(
      new Set(['ack-timeout', 'connection-lost', ...reasons.slice(-1).map(({ reason }) => reason)])
    )
    expect(alice.count({ type: 'Disconnected' })).toBe(1)
    expect(await buckets(alice)).toEqual([])
  })

  test('is gone when more is written than the buffers of the system take', async () => {
    const [alice, bob] = await Promise.all([startLocal({ heartbeatMs: HEARTBEAT_MS }), startNode()])
    alice.dial(bob)
    await alice.event({ type: 'Connected', peerId: bob.peerId })
    await suspend(bob.pid)
    const gone = alice.event({ type: 'Disconnected', peerId: bob.peerId, code: 'silent' })
    for (let i = 0; i < 7; i++) alice.sendMsg(bob, Buffer.alloc(8 * 2 ** 20))
    await gone
    expect(await buckets(alice)).toEqual([])
  })

  test('stays connected, and pays nothing for what it could not answer, when it goes on in time', async () => {
    const heartbeatMs = 2 * HEARTBEAT_MS
    const [alice, bob] = await Promise.all([startLocal({ heartbeatMs, limits: LIMITS }), startNode()])
    alice.dial(bob)
    await alice.event({ type: 'Connected', peerId: bob.peerId })
    await expectDelivery(alice, bob)
    await suspend(bob.pid)
    const ids = Array.from({ length: 30 }, () => alice.sendMsg(bob, Buffer.from('in flight')))
    await sleep(1.5 * heartbeatMs)
    process.kill(bob.pid, 'SIGCONT')
    for (const id of ids) {
      expect(await alice.event({ type: 'Status', id })).toMatchObject({ ok: false, reason: 'ack-timeout' })
    }
    await expectDelivery(alice, bob)
    // As long as a charge for what came late could still follow.
    await sleep(3 * LIMITS.ackTimeoutMs)
    await expectDelivery(alice, bob)
    expect(alice.count({ type: 'Disconnected' })).toBe(0)
    expect(await buckets(alice)).toEqual([])
  })

  test('is told of when it goes on too late, on both sides, and can be connected to again', async () => {
    const [alice, bob] = await Promise.all([startLocal({ heartbeatMs: HEARTBEAT_MS }), startNode()])
    alice.dial(bob)
    await alice.event({ type: 'Connected', peerId: bob.peerId })
    await bob.event({ type: 'Connected', peerId: alice.peerId })
    await suspend(bob.pid)
    await alice.event({ type: 'Disconnected', peerId: bob.peerId, code: 'silent' })
    process.kill(bob.pid, 'SIGCONT')
    await bob.event({ type: 'Disconnected', peerId: alice.peerId })
    alice.dial(bob)
    await alice.event({ type: 'Connected', peerId: bob.peerId })
    await expectDelivery(alice, bob)
    expect(await buckets(alice)).toEqual([])
  })

  test('and had dialled us: a first message waits until it is gone, and is then told as never written', async () => {
    const [alice, bob] = await Promise.all([
      startLocal({ heartbeatMs: HEARTBEAT_MS, limits: { handshakeTimeoutMs: 500 } }),
      startNode()
    ])
    await bob.dial(alice)
    await alice.event({ type: 'Connected', peerId: bob.peerId })
    await suspend(bob.pid)
    const id = alice.sendMsg(bob, Buffer.from('the first'))
    const { reason } = await alice.event({ type: 'Status', id })
    expect(reason).toBe('not-connected')
    await alice.event({ type: 'Disconnected', peerId: bob.peerId, code: 'silent' })
    await alice.settled()
    expect((await alice.p2p.runtime.inspectAsync()).peers).toEqual([])
    expect(await buckets(alice)).toEqual([])
  })

  test.skipIf(!LONG)(
    'for 15 s stays connected, for 3 min is gone, by the clocks of everyday',
    { timeout: 300_000 },
    async () => {
      const [alice, bob, carol] = await Promise.all([
        startLocal({ limits: { ackTimeoutMs: 10_000 } }),
        startNode(),
        startNode()
      ])
      for (const peer of [bob, carol]) {
        alice.dial(peer)
        await alice.event({ type: 'Connected', peerId: peer.peerId })
        await expectDelivery(alice, peer)
        await suspend(peer.pid)
      }
      const ids = Array.from({ length: 30 }, () => alice.sendMsg(bob, Buffer.from('in flight')))
      await sleep(15_000)
      process.kill(bob.pid, 'SIGCONT')
      for (const id of ids) await alice.event({ type: 'Status', id, ok: false })
      await expectDelivery(alice, bob)
      await alice.event({ type: 'Disconnected', peerId: carol.peerId, code: 'silent' })
      await sleep(165_000)
      process.kill(carol.pid, 'SIGCONT')
      await carol.event({ type: 'Disconnected', peerId: alice.peerId })
      alice.dial(carol)
      await alice.event({ type: 'Connected', peerId: carol.peerId })
      await expectDelivery(alice, carol)
      expect(alice.count({ type: 'Disconnected' })).toBe(1)
      expect(await buckets(alice)).toEqual([])
    }
  )
})

describe('a node whose own process is stopped', () => {
  test('asks before it judges: a peer that was there all the time stays connected', async () => {
    const [alice, bob] = await Promise.all([startNode({ heartbeatMs: HEARTBEAT_MS }), startLocal()])
    const id = await alice.dial(bob)
    await alice.event({ type: 'Connected', peerId: bob.peerId, id })
    for (let round = 0; round < 2; round++) {
      await suspend(alice.pid)
      await sleep(4 * HEARTBEAT_MS)
      process.kill(alice.pid, 'SIGCONT')
      // Longer than a judgement takes.
      await sleep(3.5 * HEARTBEAT_MS)
    }
    const sent = await alice.sendMsg(bob, Buffer.from('still here'))
    await alice.event({ type: 'Status', id: sent, ok: true })
    expect((await alice.events()).filter(({ type }) => type === 'Disconnected')).toEqual([])
    expect(bob.count({ type: 'Disconnected' })).toBe(0)
  })
})

describe('a line that goes silent', () => {
  test('is told as silent on both sides, once each, though both write', async () => {
    const proxy = startProgram('throttle.mjs')
    onTestFinished(() => proxy.kill())
    const init = { heartbeatMs: HEARTBEAT_MS, limits: LIMITS }
    const [alice, bob] = await Promise.all([startLocal(init), startLocal(init)])
    const port = await proxy.call<number>('start', { port: portOf(bob), bytesPerSecond: 10 ** 9 })
    alice.dial(bob, `127.0.0.1:${port}`)
    await Promise.all([
      alice.event({ type: 'Connected', peerId: bob.peerId }),
      bob.event({ type: 'Connected', peerId: alice.peerId })
    ])
    await expectDelivery(alice, bob)
    await expectDelivery(bob, alice)
    await proxy.call('silence')
    await Promise.all([
      sendingEvery(300, alice, bob, alice.event({ type: 'Disconnected', code: 'silent' })),
      sendingEvery(300, bob, alice, bob.event({ type: 'Disconnected', code: 'silent' }))
    ])
    for (const node of [alice, bob]) {
      await node.settled()
      expect(node.count({ type: 'Disconnected' })).toBe(1)
      expect(await buckets(node)).toEqual([])
    }
    // The address itself, and not the line that has gone silent.
    await connectLocal(alice, bob)
    await expectDelivery(alice, bob)
  })
})

describe('a slow line with much on it', () => {
  const patient = { messageTimeoutMs: 600_000, ackTimeoutMs: 60_000 }

  test.for([
    ['256 kB/s, 4 MiB, heartbeats of 2 s', 256_000, 4, 2_000, false],
    ['64 kB/s, 8 MiB, heartbeats of 10 s', 64_000, 8, 10_000, true]
  ] as const)(
    'stays up, also when the receiver is full: %s',
    { timeout: 400_000 },
    async ([, bytesPerSecond, mebibytes, heartbeatMs, isLong], { skip }) => {
      if (isLong && !LONG) skip()
      const proxy = startProgram('throttle.mjs')
      onTestFinished(() => proxy.kill())
      const init = { heartbeatMs, limits: patient }
      const [alice, bob] = await Promise.all([
        startLocal(init),
        startNode({ heartbeatMs, limits: { ...patient, receiverMessages: 1 } })
      ])
      const port = await proxy.call<number>('start', { port: portOf(bob), bytesPerSecond })
      alice.dial(bob, `127.0.0.1:${port}`)
      await alice.event({ type: 'Connected', peerId: bob.peerId })
      const ids = Array.from({ length: mebibytes }, () => alice.sendMsg(bob, new Uint8Array(2 ** 20)))
      for (const [i, id] of ids.entries()) {
        const expected = i === 0 ? { ok: true } : { reason: 'refused-full' }
        expect(await alice.event({ type: 'Status', id }, 380_000)).toMatchObject(expected)
      }
      expect(alice.count({ type: 'Disconnected' })).toBe(0)
      expect(await buckets(alice)).toEqual([])
    }
  )
})

describe('a network that drops every packet', () => {
  // A namespace of its own, with nothing in it but its own loopback: no other network is touched.
  const IN_NAMESPACE = ['unshare', '-rn', 'sh', '-c', 'ip link set lo up && exec "$0" "$@"']
  const [command, ...args] = [...IN_NAMESPACE, 'true']
  const mayDrop = spawnSync(command, args).status === 0

  // The machine may have no unshare or no ip, or may not permit namespaces.
  test.skipIf(!mayDrop)('is told as silent on both sides, and costs nobody anything', async () => {
    const alice = await startNode({ heartbeatMs: HEARTBEAT_MS, limits: LIMITS }, IN_NAMESPACE)
    const outcome = await alice.run(
      ({ p2p, event }, { key, ...options }) => {
        const { execFileSync } = process.getBuiltinModule('node:child_process')
        const Node = p2p.constructor as unknown as typeof P2p
        const bob = Node.start('127.0.0.1:0', key, { allowList: 'allow-all', ...options })
        const told = (node: P2p, type: string): P2pEvent => {
          if (node === p2p) return event({ type: type as 'Disconnected' })
          for (;;) {
            const next = node.receiver.recv(30_000)
            if (next === undefined || next.type === type) return next!
          }
        }
        p2p.sender.dial(bob.peerId, bob.addresses[0]!)
        told(p2p, 'Connected')
        told(bob, 'Connected')
        for (const [from, to] of [
          [p2p, bob],
          [bob, p2p]
        ] as const) {
          from.sender.sendMsg(to.peerId, Buffer.from('hello'))
          told(from, 'Status')
        }
        execFileSync('ip', ['link', 'set', 'lo', 'down'])
        for (let i = 0; i < 30; i++) p2p.sender.sendMsg(bob.peerId, Buffer.from('dropped'))
        const gone = [told(p2p, 'Disconnected'), told(bob, 'Disconnected')]
        const charged = [p2p, bob].flatMap(node => node.runtime.inspect().buckets)
        bob.stop()
        return { codes: gone.map(end => (end as { code?: string }).code), charged }
      },
      { key: await generatePrivateKey(), heartbeatMs: HEARTBEAT_MS, limits: LIMITS }
    )
    expect(outcome).toEqual({ codes: ['silent', 'silent'], charged: [] })
  })
})

describe('a peer that hangs, and comes again as another process with the same key', () => {
  // Who has the smaller peer ID decides which of two connections is kept; a dead one must not be.
  test.for([
    ['larger', 0],
    ['smaller', 1]
  ] as const)(
    'within seconds of our dial, with the %s peer ID: everything goes to the new one',
    async ([, own]) => {
      const keys = await orderedKeys()
      const limits = { handshakeTimeoutMs: 2_000, ackTimeoutMs: 1_000 }
      const alice = await startLocal({ key: keys[own]!, limits })
      const key = keys[1 - own]!
      const [old, fresh] = await Promise.all([startNode({ key }), startNode({ key })])
      alice.dial(old)
      await alice.event({ type: 'Connected', peerId: old.peerId })
      await expectDelivery(alice, old)
      await suspend(old.pid)
      const lost = alice.sendMsg(old, Buffer.from('nobody takes this'))
      await fresh.dial(alice)
      await fresh.event({ type: 'Connected', peerId: alice.peerId })
      // Admitted there before it is known here.
      await expect
        .poll(async () => (await alice.p2p.runtime.inspectAsync()).peers[0]?.direction, { timeout: 10_000 })
        .toBe('inbound')
      const ids = Array.from({ length: 60 }, () => alice.sendMsg(old, Buffer.from('for the new one')))
      expect(await alice.event({ type: 'Status', id: lost })).toMatchObject({ ok: false })
      for (const id of ids) expect(await alice.event({ type: 'Status', id })).toMatchObject({ ok: true })
      await fresh.sendMsg(alice, Buffer.from('back'))
      await fresh.event({ type: 'Status', ok: true })
      await alice.settled()
      expect(alice.count({ type: 'Connected' }) - alice.count({ type: 'Disconnected' })).toBe(1)
      expect((await fresh.events()).filter(({ type }) => type === 'Disconnected')).toEqual([])
      expect(await buckets(alice)).toEqual([])
    }
  )
})

describe('a peer that is heard', () => {
  test('is alive though it answers no ping of the muxer, until it says nothing more', async () => {
    const alice = await startLocal({ heartbeatMs: HEARTBEAT_MS })
    const bare = await startBarePeer()
    const connection = await bare.connect(alice)
    const { muxer } = connection as unknown as { muxer: { sendPing: () => void } }
    muxer.sendPing = () => {}
    const stream = await connection.newStream(PROTOCOL)
    await alice.event({ type: 'Connected', peerId: bare.peerId })
    const timer = setInterval(() => stream.send(frame(Buffer.from('tick'))), 700)
    onTestFinished(() => clearInterval(timer))
    await sleep(5 * HEARTBEAT_MS)
    expect(alice.count({ type: 'Disconnected' })).toBe(0)
    clearInterval(timer)
    await alice.event({ type: 'Disconnected', peerId: bare.peerId, code: 'silent' })
    expect(await buckets(alice)).toEqual([])
  })

  test('and idle, whatever implementation it is, stays connected', async () => {
    const alice = await startLocal({ heartbeatMs: HEARTBEAT_MS })
    const bare = await startBarePeer()
    await bare.connect(alice)
    await alice.event({ type: 'Connected', peerId: bare.peerId })
    await sleep(5 * HEARTBEAT_MS)
    await alice.settled()
    expect(alice.count({ type: 'Disconnected' })).toBe(0)
  })

  test('and agrees to no message stream is not called connected: its connection ends, and it is charged nothing', async () => {
    const alice = await startLocal({ heartbeatMs: HEARTBEAT_MS, limits: { handshakeTimeoutMs: 1_000 } })
    const bare = await startBarePeer({ hold: new Promise(() => {}) })
    await bare.connect(alice)
    await alice.event({ type: 'Connected', peerId: bare.peerId })
    const id = alice.sendMsg(bare, Buffer.from('do you take this?'))
    expect(await alice.event({ type: 'Status', id })).toMatchObject({ reason: 'not-connected' })
    await alice.event({ type: 'Disconnected', peerId: bare.peerId, code: 'protocol' })
    expect(await buckets(alice)).toEqual([])
  })

  test('and never answers pays a token for each message, though it only drips a byte now and then', async () => {
    const rateLimit = { refillPerSecond: 0 }
    const alice = await startLocal({ heartbeatMs: HEARTBEAT_MS, limits: LIMITS, rateLimit })
    const streams: Stream[] = []
    const bare = await startBarePeer({ onStream: stream => streams.push(stream) })
    const connection = await bare.connect(alice)
    const { muxer } = connection as unknown as { muxer: { sendPing: () => void } }
    muxer.sendPing = () => {}
    const drip = await connection.newStream(PROTOCOL)
    await alice.event({ type: 'Connected', peerId: bare.peerId })
    const timer = setInterval(() => drip.send(frame(Buffer.of(0))), 900)
    onTestFinished(() => clearInterval(timer))
    const ids = Array.from({ length: 3 }, () => alice.sendMsg(bare, Buffer.from('and this?')))
    for (const id of ids) await alice.event({ type: 'Status', id, reason: 'ack-timeout' })
    await expect.poll(async () => (await buckets(alice))[0]?.debits.length, { timeout: 20_000 }).toBe(3)
    expect((await buckets(alice))[0]).toMatchObject({ peerId: bare.peerId, tokens: 7 })
    expect(streams).toHaveLength(1)
  })
})

/** Two keys, the one with the smaller peer ID first. */
async function orderedKeys(): Promise<Uint8Array[]> {
  const keys = await Promise.all([generatePrivateKey(), generatePrivateKey()])
  return keys.toSorted((a, b) => (peerIdFromPrivateKey(a) < peerIdFromPrivateKey(b) ? -1 : 1))
}
