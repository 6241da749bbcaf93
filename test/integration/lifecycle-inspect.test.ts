import { generatePrivateKey, P2p, peerIdFromPrivateKey } from 'bitvmx-p2p'
import { expect, onTestFinished, test } from 'vitest'
import { bareAddress, startLocal } from '../support/local-node.ts'
import { connect, startNode } from '../support/node-process.ts'
import { suspend } from '../support/proc.ts'

test('inspect() counts what went over the wire, what is unread and what was dropped', async () => {
  const [alice, bob] = await Promise.all([startNode(), startNode({ limits: { receiverMessages: 11 } })])
  await connect(alice, bob)
  for (let i = 0; i < 10; i++) await alice.sendMsg(bob, Buffer.alloc(100))
  await alice.sendMsg(bob, Buffer.alloc(1_000))
  // One more than Bob's receiver channel has room for, while Bob reads nothing.
  const refused = await alice.sendMsg(bob, Buffer.alloc(7))
  await alice.event({ type: 'Status', id: refused, ok: false, reason: 'refused-full' })
  for (let i = 0; i < 3; i++) await bob.sendMsg(alice, Buffer.alloc(0))
  // Asks without reading: what is unread stays unread.
  const there = await bob.run(({ p2p }) => {
    while (p2p.runtime.inspect().peers[0]!.unacknowledged > 0);
    return p2p.runtime.inspect()
  })

  // A message's length takes one byte on the wire below 128 bytes, two above.
  const toBob = { messages: 11, bytes: 10 * 101 + 1_002 }
  const toAlice = { messages: 3, bytes: 3 }
  expect(there).toEqual({
    peers: [
      {
        peerId: alice.peerId,
        address: expect.stringMatching(/^\/ip4\/127\.0\.0\.1\/tcp\/\d+$/) as string,
        direction: 'inbound',
        sent: toAlice.messages,
        bytesSent: toAlice.bytes,
        received: toBob.messages,
        bytesReceived: toBob.bytes,
        unacknowledged: 0
      }
    ],
    buckets: [],
    receiver: { messages: 11, bytes: 2_000, dropped: 1 }
  })
  expect(await alice.run(({ p2p }) => p2p.runtime.inspectAsync())).toEqual({
    peers: [
      {
        peerId: bob.peerId,
        address: bareAddress(bob),
        direction: 'outbound',
        sent: toBob.messages + 1,
        bytesSent: toBob.bytes + 8,
        received: toAlice.messages,
        bytesReceived: toAlice.bytes,
        unacknowledged: 0
      }
    ],
    buckets: [],
    receiver: { messages: expect.any(Number) as number, bytes: 0, dropped: 0 }
  })
})

test('inspect() tells of nothing when there is nothing, and counts what a peer has not answered', async () => {
  const [alice, bob] = await Promise.all([startLocal(), startNode()])
  const nothing = { peers: [], buckets: [], receiver: { messages: 0, bytes: 0, dropped: 0 } }
  expect(alice.p2p.runtime.inspect()).toEqual(nothing)
  expect(await alice.p2p.runtime.inspectAsync()).toEqual(nothing)
  alice.dial(bob)
  await alice.event({ type: 'Connected', peerId: bob.peerId })
  await suspend(bob.pid)
  const ids = Array.from({ length: 5 }, () => alice.sendMsg(bob, Buffer.alloc(10)))
  expect(alice.p2p.runtime.inspect().peers).toMatchObject([{ sent: 5, unacknowledged: 5 }])
  process.kill(bob.pid, 'SIGCONT')
  await alice.event({ type: 'Status', id: ids.at(-1), ok: true })
  expect(alice.p2p.runtime.inspect().peers).toMatchObject([{ sent: 5, unacknowledged: 0 }])
})

test('inspect() shows the buckets that are not full, and what was charged', async () => {
  const allowList = [{ peerId: peerIdFromPrivateKey(await generatePrivateKey()) }]
  const rateLimit = { capacity: 3, refillPerSecond: 0, costs: { 'unknown-peer': 1.5 } }
  const [alice, stranger] = await Promise.all([startLocal({ allowList, rateLimit }), startLocal()])
  const before = Date.now()
  const dial = stranger.dial(alice)
  await stranger.event({ type: 'Error', id: dial })
  expect((await alice.p2p.runtime.inspectAsync()).buckets).toEqual([
    {
      ip: '127.0.0.1',
      tokens: 1.5,
      barred: false,
      debits: [
        {
          cause: 'unknown-peer',
          cost: 1.5,
          evidence: `${stranger.peerId} is not on the allow list`,
          time: expect.toSatisfy((time: number) => time >= before && time <= Date.now()) as number
        }
      ]
    }
  ])
})

test('inspect() says ERR_CLOSED from the moment the node is told to stop', async () => {
  const p2p = P2p.start('127.0.0.1:0', await generatePrivateKey())
  onTestFinished(async () => p2p.runtime.closed)
  p2p.stop()
  const closed = expect.objectContaining({ code: 'ERR_CLOSED' }) as Error
  expect(() => p2p.runtime.inspect()).toThrow(closed)
  await expect(p2p.runtime.inspectAsync()).rejects.toThrow(closed)
})

test('inspect() goes on counting where it was when a peer comes back', async () => {
  const [alice, bob] = await Promise.all([startLocal(), startLocal()])
  for (const sent of [1, 2, 3]) {
    const dial = alice.dial(bob)
    await alice.event({ type: 'Connected', peerId: bob.peerId, id: dial })
    await bob.event({ type: 'Connected', peerId: alice.peerId })
    const id = alice.sendMsg(bob, Buffer.alloc(10))
    await alice.event({ type: 'Status', id, ok: true })
    const bytes = 11 * sent
    expect(alice.p2p.runtime.inspect().peers).toMatchObject([{ sent, bytesSent: bytes, received: 0 }])
    expect(bob.p2p.runtime.inspect().peers).toMatchObject([{ sent: 0, received: sent, bytesReceived: bytes }])
    alice.p2p.sender.disconnectFrom(bob.peerId)
    await Promise.all([alice.event({ type: 'Disconnected' }), bob.event({ type: 'Disconnected' })])
    // The peer itself is forgotten.
    expect(alice.p2p.runtime.inspect().peers).toEqual([])
  }
})
