/** What an honest peer may do, or have happen to it, without paying: its bucket stays full. */
import { generatePrivateKey } from 'bitvmx-p2p'
import { expect, onTestFinished, test } from 'vitest'
import { connectLocal, launchLocal, startLocal, stopLocal } from '../support/local-node.ts'
import type { LocalNode } from '../support/local-node.ts'
import { connect, startNode } from '../support/node-process.ts'
import { createAttacker, portOf, startAttackers } from './attacker.ts'
import { startProgram } from './program.ts'

const EFFECT_MS = 60_000

async function expectFull(...nodes: LocalNode[]): Promise<void> {
  for (const node of nodes) {
    expect((await node.p2p.runtime.inspectAsync()).buckets).toEqual([])
    expect(node.count({ type: 'ConnectionLimit' })).toBe(0)
  }
}

test('twenty peers that all come back at once when the node has been restarted', async () => {
  const create = startAttackers()
  const key = await generatePrivateKey()
  const before = await launchLocal({ key })
  const target = before.addresses[0]!
  const peers = await Promise.all(Array.from({ length: 20 }, async () => create({ target })))
  await Promise.all(peers.map(async peer => peer.call('open')))
  await expectFull(before)
  await stopLocal(before)

  // Each tries again and again while nobody listens.
  const entered = peers.map(async peer => {
    for (;;) if ((await peer.enter()).admitted) return
  })
  const after = await startLocal({ key, listen: `127.0.0.1:${portOf(target)}` })
  await Promise.all(entered)
  for (const { peerId } of peers) expect(after.count({ type: 'Connected', peerId })).toBe(1)
  await expectFull(after)
})

test('two nodes that dial each other at the same moment, again and again', async () => {
  const [alice, bob] = await Promise.all([startLocal(), startLocal()])
  for (let round = 0; round < 5; round++) {
    alice.dial(bob)
    bob.dial(alice)
    await Promise.all([
      alice.event({ type: 'Connected', peerId: bob.peerId }),
      bob.event({ type: 'Connected', peerId: alice.peerId })
    ])
    const id = alice.sendMsg(bob, Buffer.from('there?'))
    expect(await alice.event({ type: 'Status', id })).toMatchObject({ ok: true })
    alice.p2p.sender.disconnectFrom(bob.peerId)
    await Promise.all([
      alice.event({ type: 'Disconnected', peerId: bob.peerId }),
      bob.event({ type: 'Disconnected', peerId: alice.peerId })
    ])
  }
  await expectFull(alice, bob)
})

test('a peer that writes its messages behind the handshake without waiting, cut anywhere', async () => {
  const create = startAttackers()
  const node = await startLocal()
  const peer = await create({ target: node.addresses[0]! })
  // What was opened where it lay in the first read is still needed when the second one comes.
  const messages = [new Uint8Array(9_000).fill(7), new Uint8Array(600).map((_, i) => i)]
  expect(await peer.call('hurry', { messages })).toEqual([0, 0])
  for (const message of messages) {
    const { data } = await node.event({ type: 'Data', peerId: peer.peerId })
    expect(Buffer.compare(data, message)).toBe(0)
  }
  await expectFull(node)
})

test('a large message over a link that is just fast enough', async () => {
  // The law of the defaults, 8 MiB in 30 s, at an eighth of both: 280 KB/s is the least; the link has 400.
  const limits = { maxMessageBytes: 1_048_576, messageTimeoutMs: 3_750, ackTimeoutMs: 1_250 }
  const [alice, bob] = await Promise.all([startLocal({ limits }), startLocal({ limits })])
  const proxy = startProgram('throttle.mjs')
  onTestFinished(() => proxy.kill())
  const port = await proxy.call<number>('start', { port: portOf(bob.addresses[0]!), bytesPerSecond: 400_000 })
  alice.dial(bob, `127.0.0.1:${port}`)
  await alice.event({ type: 'Connected', peerId: bob.peerId })
  const id = alice.sendMsg(bob, new Uint8Array(limits.maxMessageBytes))
  expect(await alice.event({ type: 'Status', id })).toMatchObject({ ok: true })
  await expectFull(alice, bob)
})

test('messages while a large one of the other side fills a slow link, and keeps their acks waiting', async () => {
  const limits = { ackTimeoutMs: 1_000 }
  const [alice, bob] = await Promise.all([startLocal({ limits }), startLocal({ limits })])
  const proxy = startProgram('throttle.mjs')
  onTestFinished(() => proxy.kill())
  const port = await proxy.call<number>('start', { port: portOf(bob.addresses[0]!), bytesPerSecond: 200_000 })
  alice.dial(bob, `127.0.0.1:${port}`)
  await bob.event({ type: 'Connected', peerId: alice.peerId })
  // It takes three seconds.
  const large = bob.sendMsg(alice, new Uint8Array(600_000))
  await bob.settled()
  const ids = Array.from({ length: 15 }, () => alice.sendMsg(bob, new Uint8Array(1_000)))
  for (const id of ids) expect(await alice.event({ type: 'Status', id })).toMatchObject({ ok: true })
  expect(await bob.event({ type: 'Status', id: large })).toMatchObject({ ok: true })
  await expectFull(alice, bob)
})

test('a peer that says goodbye before it has answered everything', async () => {
  const create = startAttackers()
  const alice = await startLocal({ limits: { ackTimeoutMs: 500 } })
  const bob = await startLocal()
  await connectLocal(alice, bob)
  const mute = await create({ target: alice.addresses[0]! })
  await mute.call('open', { answer: 'held' })
  const ids = Array.from({ length: 2_000 }, () => alice.sendMsg(bob, new Uint8Array(10_000)))
  await alice.event({ type: 'Status', id: ids[0], ok: true })
  bob.p2p.sender.disconnectFrom(alice.peerId)
  await alice.event({ type: 'Disconnected', peerId: bob.peerId })
  expect(alice.count({ type: 'Status', reason: 'connection-lost' })).toBeGreaterThan(0)
  // When the time for an answer is over for somebody else's message, it is for those, too.
  const id = alice.sendMsg(mute, Buffer.from('what time is it?'))
  await alice.event({ type: 'Status', id, reason: 'ack-timeout' })
  // It costs a token when the peer is heard behind its time and has not answered in as long again.
  await expect
    .poll(async () => (await alice.p2p.runtime.inspectAsync()).buckets.map(({ peerId }) => peerId), {
      timeout: 30_000
    })
    .toEqual([mute.peerId])
})

test('more messages than the receiver has room for', async () => {
  const alice = await startLocal()
  const bob = await startNode({ limits: { receiverMessages: 10 } })
  alice.dial(bob)
  await alice.event({ type: 'Connected', peerId: bob.peerId })
  const ids = Array.from({ length: 200 }, () => alice.sendMsg(bob, Buffer.from('there is no room for all')))
  const outcomes = await Promise.all(ids.map(async id => alice.event({ type: 'Status', id })))
  expect(outcomes.filter(({ ok }) => ok).length).toBeGreaterThanOrEqual(10)
  expect(outcomes.filter(({ reason }) => reason === 'refused-full').length).toBeGreaterThan(0)
  expect(outcomes.filter(({ ok, reason }) => !ok && reason !== 'refused-full')).toEqual([])
  await expectFull(alice)
  expect(await bob.run(({ p2p }) => p2p.runtime.inspect().buckets)).toEqual([])
})

test('messages as large as they may be', async () => {
  const [alice, bob] = await Promise.all([startLocal(), startLocal()])
  await connectLocal(alice, bob)
  const ids = Array.from({ length: 4 }, () => alice.sendMsg(bob, new Uint8Array(8_388_608)))
  for (const id of ids) expect(await alice.event({ type: 'Status', id })).toMatchObject({ ok: true })
  await expectFull(alice, bob)
})

test('messages above the limit of the receiver', async () => {
  const [alice, bob] = await Promise.all([startLocal(), startLocal({ limits: { maxMessageBytes: 1_000 } })])
  await connectLocal(alice, bob)
  const ids = Array.from({ length: 100 }, () => alice.sendMsg(bob, new Uint8Array(1_001)))
  for (const id of ids) {
    expect(await alice.event({ type: 'Status', id })).toMatchObject({ reason: 'refused-too-large' })
  }
  await expectFull(alice, bob)
})

test('an application that computes for longer than its peers wait for acks', async () => {
  const limits = { ackTimeoutMs: 500, messageTimeoutMs: 1_000 }
  const alice = await startLocal({ limits })
  const bob = await startNode({ limits })
  alice.dial(bob)
  await alice.event({ type: 'Connected', peerId: bob.peerId })
  const busy = bob.run(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2_000))
  const ids = Array.from({ length: 500 }, () => alice.sendMsg(bob, Buffer.from('are you there?')))
  for (const id of ids) expect(await alice.event({ type: 'Status', id })).toMatchObject({ ok: true })
  expect(await busy).toBe('timed-out')
  await expectFull(alice)
  expect(await bob.run(({ p2p }) => p2p.runtime.inspect().buckets)).toEqual([])
})

test('a process that is killed while it has messages in flight', async () => {
  const alice = await startLocal()
  const bob = await startNode()
  alice.dial(bob)
  await alice.event({ type: 'Connected', peerId: bob.peerId })
  const ids = Array.from({ length: 100 }, () => alice.sendMsg(bob, new Uint8Array(100_000)))
  await bob.kill()
  await alice.event({ type: 'Disconnected', peerId: bob.peerId })
  expect(await Promise.all(ids.map(async id => alice.event({ type: 'Status', id })))).toHaveLength(100)
  await expectFull(alice)
})

test('a process that is killed in the middle of a handshake costs its address one token, no more', async () => {
  const program = startProgram('attacker.mjs')
  const create = startAttackers()
  const node = await startLocal({ rateLimit: { refillPerSecond: 0 } })
  const victim = await createAttacker(program, { target: node.addresses[0]!, from: '127.5.0.1' })
  await victim.call('linger')
  await victim.call('accepted')
  program.kill()
  await expect
    .poll(async () => (await node.p2p.runtime.inspectAsync()).buckets.find(({ ip }) => ip === '127.5.0.1'), {
      timeout: EFFECT_MS
    })
    .toMatchObject({ tokens: 9, barred: false })
  const again = await create({ target: node.addresses[0]!, from: '127.5.0.1' })
  expect(await again.enter()).toMatchObject({ admitted: true })
})

test('a peer of another implementation, that also pings, and asks for services we do not have', async () => {
  const create = startAttackers()
  const node = await startLocal()
  const peer = await create({ target: node.addresses[0]! })
  await peer.call('open')
  const protocols = ['/ipfs/id/1.0.0', '/ipfs/id/push/1.0.0', '/ipfs/ping/1.0.0', '/ipfs/kad/1.0.0']
  const asked = Array.from({ length: 200 }, (_, i) => protocols[i % protocols.length]!)
  const answers = new Set(await peer.call<string[]>('ask', { protocols: asked }))
  expect(answers).toEqual(new Set(['na', '/ipfs/ping/1.0.0']))
  expect(await peer.call('ping', { count: 200 })).toBe(200)
  expect(await peer.call('messages', { count: 10 })).toBe(10)
  await expectFull(node)
})

test('thousands of messages, each on a stream of its own, a hundred streams at once', async () => {
  const create = startAttackers()
  const node = await startLocal()
  const peer = await create({ target: node.addresses[0]! })
  expect(await peer.call('messages', { count: 3_000, size: 100, streams: 100 })).toBe(3_000)
  await expectFull(node)
})

test.each([
  // The prefix and the payload, each in frames of its own.
  { count: 5_000, size: 6, bytes: 1 },
  { count: 5_000, size: 200, bytes: 32 },
  // A few hundred thousand bytes in pieces that are just large enough.
  { count: 4, size: 200_000, bytes: 64 },
  // And what somebody writes byte by byte.
  { count: 4, size: 4_000, bytes: 1 }
])('$count messages of $size bytes in frames of $bytes', async messages => {
  const create = startAttackers()
  const node = await startLocal()
  const peer = await create({ target: node.addresses[0]! })
  expect(await peer.call('inPieces', messages)).toBe(messages.count)
  await expectFull(node)
})

test('a peer that names some protocols before ours on each stream', async () => {
  const create = startAttackers()
  const node = await startLocal()
  const peer = await create({ target: node.addresses[0]! })
  await peer.call('open')
  const before = Array.from({ length: 4 }, (_, i) => `/bitvmx/comms/${i + 2}.0.0`)
  for (let i = 0; i < 400; i++) expect(await peer.call('allAtOnce', { frames: 1, before })).toBe(0)
  await expectFull(node)
})

test('a connection that is made, used and closed a hundred times', async () => {
  const create = startAttackers()
  const node = await startLocal()
  const peer = await create({ target: node.addresses[0]! })
  for (let i = 0; i < 100; i++) expect(await peer.enter()).toMatchObject({ admitted: true })
  await expectFull(node)
})

test('nodes in processes of their own, whatever they have done to each other in an ordinary exchange', async () => {
  const [alice, bob] = await Promise.all([startNode(), startNode()])
  await connect(alice, bob)
  const sent = await alice.run(({ p2p, event }, peerId) => {
    const ids = Array.from({ length: 2_000 }, (_, i) => p2p.sender.sendMsg(peerId, new Uint8Array(i)))
    return ids.map(id => event({ type: 'Status', id })).filter(e => e.type === 'Status' && e.ok).length
  }, bob.peerId)
  expect(sent).toBe(2_000)
  expect(await alice.run(({ p2p }) => p2p.runtime.inspect().buckets)).toEqual([])
  expect(await bob.run(({ p2p }) => p2p.runtime.inspect().buckets)).toEqual([])
})
