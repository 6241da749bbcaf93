import { generatePrivateKey, peerIdFromPrivateKey } from 'bitvmx-p2p'
import { describe, expect, test } from 'vitest'
import { connectLocal, startLocal, stopLocal } from '../support/local-node.ts'
import type { LocalNode } from '../support/local-node.ts'
import { connect, startNode } from '../support/node-process.ts'
import { suspend } from '../support/proc.ts'
import { startTcpServer } from '../support/strangers.ts'
import type { NodeProcess } from '../support/node-process.ts'

describe('DisconnectFrom', () => {
  test('a peer is told to both sides with a reason, settles what is unsettled, and is not for ever', async () => {
    // Bob takes no more than ten messages and reads none: some are accepted, some refused, some still in flight.
    const [alice, bob] = await Promise.all([startLocal(), startNode({ limits: { receiverMessages: 10 } })])
    alice.dial(bob)
    await alice.event({ type: 'Connected', peerId: bob.peerId })
    const ids = Array.from({ length: 20_000 }, (_, i) => alice.sendMsg(bob, Buffer.alloc(1_000, i)))
    await alice.event({ type: 'Status', id: ids[0], ok: true })
    alice.p2p.sender.disconnectFrom(bob.peerId)
    const late = alice.sendMsg(bob, Buffer.from('after the goodbye'))

    const { reason } = await alice.event({ type: 'Disconnected', peerId: bob.peerId })
    expect(reason).toBe('disconnected by this application')
    expect((await bob.event({ type: 'Disconnected', peerId: alice.peerId })).reason).not.toBe('')
    await alice.event({ type: 'Status', id: late, ok: false, reason: 'not-connected' })
    const statuses = alice.events.filter(event => event.type === 'Status')
    expect(statuses.map(({ id }) => id)).toEqual([...ids, late])
    const failures = statuses.filter(({ ok }) => !ok).map(status => status.reason)
    expect(new Set(failures)).toEqual(new Set(['refused-full', 'connection-lost', 'not-connected']))

    // Twice is once, and what comes after it is not concerned.
    alice.p2p.sender.disconnectFrom(bob.peerId)
    const again = alice.dial(bob)
    await alice.event({ type: 'Connected', peerId: bob.peerId, id: again })
    await alice.settled()
    expect(alice.count({ type: 'Connected' })).toBe(2)
    expect(alice.count({ type: 'Disconnected' })).toBe(1)
    expect(alice.count({ type: 'Error' })).toBe(0)
    expect((await alice.p2p.runtime.inspectAsync()).buckets).toEqual([])
  })

  test.for([
    ['DisconnectFrom everybody', ({ p2p }: LocalNode): unknown => p2p.sender.disconnectFrom()],
    ['stop', ({ p2p }: LocalNode): unknown => p2p.stop()]
  ] as const)('%s ends the runtime: every message is settled, every peer told', async ([, end]) => {
    const [alice, bob, carol] = await Promise.all([startLocal(), startLocal(), startLocal()])
    await Promise.all([connectLocal(alice, bob), connectLocal(carol, alice)])
    const ids = Array.from({ length: 5_000 }, () => alice.sendMsg(bob, Buffer.alloc(10_000)))
    end(alice)
    expect(alice.p2p.runtime.state).toBe('stopping')
    expect(() => alice.sendMsg(bob, Buffer.from('late'))).toThrow(
      expect.objectContaining({ code: 'ERR_CLOSED' })
    )
    expect(() => alice.dial(bob)).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }))
    end(alice)

    await Promise.all([
      bob.event({ type: 'Disconnected', peerId: alice.peerId }),
      carol.event({ type: 'Disconnected', peerId: alice.peerId })
    ])
    await alice.p2p.runtime.closed
    expect(alice.p2p.runtime.state).toBe('stopped')
    expect(alice.p2p.receiver.closed).toBe(true)
    await alice.event({ type: 'Status', id: ids.at(-1) })
    const statuses = alice.events.filter(event => event.type === 'Status')
    expect(statuses.map(({ id }) => id)).toEqual(ids)
    for (const { ok, reason } of statuses) expect(ok || reason === 'stopped').toBe(true)
    expect(alice.count({ type: 'Disconnected', reason: 'this node was stopped' })).toBe(2)
    // What was acknowledged was delivered.
    await bob.settled()
    expect(bob.count({ type: 'Data' })).toBeGreaterThanOrEqual(statuses.filter(({ ok }) => ok).length)
    end(alice)
  })
})

test('a node stops at once although a peer hangs, with messages to it in flight', async () => {
  const [alice, bob] = await Promise.all([startLocal(), startNode()])
  alice.dial(bob)
  await alice.event({ type: 'Connected', peerId: bob.peerId })
  await suspend(bob.pid)
  // More than the sockets between them can hold.
  const ids = Array.from({ length: 2_000 }, () => alice.sendMsg(bob, Buffer.alloc(10_000)))
  await alice.settled()
  const begin = performance.now()
  await stopLocal(alice)
  expect(performance.now() - begin).toBeLessThan(10_000)
  await alice.event({ type: 'Status', id: ids.at(-1), ok: false, reason: 'stopped' })
  expect(alice.count({ type: 'Status', ok: false, reason: 'stopped' })).toBe(ids.length)
  expect(alice.count({ type: 'Disconnected', reason: 'this node was stopped' })).toBe(1)
})

test('a node that stops with a dial under way fails the dial, and ends as stopped what waits for it', async () => {
  let connected = (): void => {}
  const underWay = new Promise<void>(resolve => (connected = resolve))
  const address = await startTcpServer(() => connected())
  const alice = await startLocal()
  const bob = { peerId: peerIdFromPrivateKey(await generatePrivateKey()), addresses: [address] }
  const dial = alice.dial(bob)
  const message = alice.sendMsg(bob, Buffer.from('on its way'))
  await underWay
  await stopLocal(alice)
  await alice.event({ type: 'Status', id: message, ok: false, reason: 'stopped' })
  expect(alice.count({ type: 'Error', id: dial, code: 'ERR_DIAL_FAILED' })).toBe(1)
})

/** Sends to every peer and waits until each of the messages is answered and `expected` have come from others. */
const chat = [
  ({ p2p, event }: Parameters<Parameters<NodeProcess['run']>[0]>[0], given: Chat): number => {
    const { peers, messages, expected } = given
    for (let i = 0; i < messages; i++) {
      for (const peer of peers) p2p.sender.sendMsg(peer, Buffer.from(`message ${i}`))
    }
    for (let i = 0; i < messages * peers.length; i++) event({ type: 'Status', ok: true }, 30_000)
    const next = new Map<string, number>()
    for (let i = 0; i < expected; i++) {
      const { peerId, data } = event({ type: 'Data' }, 30_000) as { peerId: string; data: Uint8Array }
      const number = next.get(peerId) ?? 0
      if (Buffer.from(data).toString() !== `message ${number}`) throw new Error(`wanted message ${number}`)
      next.set(peerId, number + 1)
    }
    return next.size
  }
] as const

interface Chat {
  peers: string[]
  messages: number
  expected: number
}

const ids = (list: NodeProcess[]): string[] => list.map(({ peerId }) => peerId)

test('five processes exchange messages as a star and as a mesh', { timeout: 120_000 }, async () => {
  const nodes = await Promise.all(Array.from({ length: 5 }, async () => startNode()))
  const [hub, ...spokes] = nodes
  const MESSAGES = 500

  await Promise.all(spokes.map(async spoke => connect(spoke, hub!)))
  const star = await Promise.all([
    hub!.run(chat[0], { peers: ids(spokes), messages: MESSAGES, expected: 4 * MESSAGES }),
    ...spokes.map(async spoke =>
      spoke.run(chat[0], { peers: ids([hub!]), messages: MESSAGES, expected: MESSAGES })
    )
  ])
  expect(star).toEqual([4, 1, 1, 1, 1])

  for (const [i, from] of spokes.entries()) {
    await Promise.all(spokes.slice(i + 1).map(async to => connect(from, to)))
  }
  const mesh = await Promise.all(
    nodes.map(async node => {
      const peers = ids(nodes.filter(other => other !== node))
      return node.run(chat[0], { peers, messages: MESSAGES, expected: 4 * MESSAGES })
    })
  )
  expect(mesh).toEqual([4, 4, 4, 4, 4])

  await hub!.disconnectFrom()
  for (const spoke of spokes) {
    await spoke.event({ type: 'Disconnected', peerId: hub!.peerId })
    expect(await spoke.events()).toEqual([])
  }
})
