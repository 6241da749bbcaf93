import { generatePrivateKey, peerIdFromPrivateKey } from 'bitvmx-p2p'
import type { P2pEvent } from 'bitvmx-p2p'
import { expect, test } from 'vitest'
import { bareAddress, startLocal } from '../support/local-node.ts'
import type { LocalNode, Reachable } from '../support/local-node.ts'
import { startNode } from '../support/node-process.ts'
import { suspend } from '../support/proc.ts'

type Status = Extract<P2pEvent, { type: 'Status' }>

test('a peer killed with messages in flight leaves one truthful Status for each, and can come back by either way', async () => {
  const key = await generatePrivateKey()
  const alice = await startLocal()
  const bob = await startNode({ key })
  alice.dial(bob)
  await alice.event({ type: 'Connected', peerId: bob.peerId })

  // Far more than fits into the window of messages in flight, so that some are written and some are not.
  const ids = Array.from({ length: 20_000 }, (_, i) => alice.sendMsg(bob, Buffer.alloc(1_000, i)))
  await alice.event({ type: 'Status', id: ids[0], ok: true })
  await bob.kill()
  const { reason } = await alice.event({ type: 'Disconnected', peerId: bob.peerId })
  expect(reason).not.toBe('')
  await alice.event({ type: 'Status', id: ids.at(-1) })

  const statuses = alice.events.filter((event): event is Status => event.type === 'Status')
  expect(statuses.map(({ id }) => id)).toEqual(ids)
  const outcomes = statuses.map(({ ok, reason: why }) => (ok ? 'ok' : why))
  expect(runs(outcomes)).toEqual(['ok', 'connection-lost', 'not-connected'])

  const second = await startNode({ key, listen: bareAddress(bob) })
  expect(second.addresses).toEqual(bob.addresses)
  const dial = alice.dial(second)
  await alice.event({ type: 'Connected', peerId: bob.peerId, direction: 'outbound', id: dial })
  await expectDelivery(alice, second)

  await second.kill()
  await alice.event({ type: 'Disconnected', peerId: bob.peerId })
  const third = await startNode({ key, listen: bareAddress(bob) })
  await third.dial(alice)
  await alice.event({ type: 'Connected', peerId: bob.peerId, direction: 'inbound' })
  await third.event({ type: 'Connected', peerId: alice.peerId })
  await expectDelivery(alice, third)
  await third.sendMsg(alice, Buffer.from('back'))
  await third.event({ type: 'Status', ok: true })

  await alice.settled()
  expect(alice.count({ type: 'Connected' })).toBe(3)
  expect(alice.count({ type: 'Disconnected' })).toBe(2)
  expect(alice.count({ type: 'Error' })).toBe(0)
  expect((await alice.p2p.runtime.inspectAsync()).buckets).toEqual([])
})

// Who has the smaller peer ID decides which of two connections is kept; a dead one must not be.
test.for([
  ['alice dialled and her connection is the preferred one', 'alice', 0],
  ['alice dialled and her connection is not the preferred one', 'alice', 1],
  ['the peer dialled', 'bob', 0]
] as const)(
  'a peer that comes back while its old connection is half-open takes its place: %s',
  async ([, dialler, smaller]) => {
    const keys = await orderedKeys()
    const alice = await startLocal({ key: keys[smaller]!, limits: { handshakeTimeoutMs: 2_000 } })
    const key = keys[1 - smaller]!
    const old = await startNode({ key })
    if (dialler === 'alice') alice.dial(old)
    else await old.dial(alice)
    await alice.event({ type: 'Connected', peerId: old.peerId })
    await expectDelivery(alice, old)
    await old.sendMsg(alice, Buffer.from('so that both sides have a stream'))
    await old.event({ type: 'Status', ok: true })

    // The kernel goes on acknowledging for a stopped process: nothing tells this side that nobody is there.
    await suspend(old.pid)
    const lost = alice.sendMsg(old, Buffer.from('nobody takes this'))
    const restarted = startNode({ key })
    // Two handshake timeouts after alice's, another connection cannot have been dialled at the same moment.
    if (dialler === 'alice') await new Promise(resolve => setTimeout(resolve, 4_000))
    const fresh = await restarted
    await fresh.dial(alice)
    await fresh.event({ type: 'Connected', peerId: alice.peerId })

    await alice.event({ type: 'Status', id: lost, ok: false, reason: 'connection-lost' }, 5_000)
    await alice.event({ type: 'Disconnected', peerId: old.peerId, code: 'replaced' })
    const taken = await alice.event({ type: 'Connected', peerId: old.peerId, direction: 'inbound' })
    expect(alice.events.findIndex(event => event === taken)).toBeGreaterThan(
      alice.events.findIndex(event => event.type === 'Status' && event.id === lost)
    )
    await expectDelivery(alice, fresh)
    await fresh.sendMsg(alice, Buffer.from('back'))
    await fresh.event({ type: 'Status', ok: true })
    await alice.settled()
    expect(alice.count({ type: 'Connected' }) - alice.count({ type: 'Disconnected' })).toBe(1)
    const { peers, buckets } = await alice.p2p.runtime.inspectAsync()
    expect(peers).toMatchObject([{ peerId: fresh.peerId, direction: 'inbound' }])
    expect(buckets).toEqual([])
  }
)

/** Two keys, the one with the smaller peer ID first. */
async function orderedKeys(): Promise<Uint8Array[]> {
  const keys = await Promise.all([generatePrivateKey(), generatePrivateKey()])
  return keys.toSorted((a, b) => (peerIdFromPrivateKey(a) < peerIdFromPrivateKey(b) ? -1 : 1))
}

async function expectDelivery(from: LocalNode, to: Reachable): Promise<void> {
  const id = from.sendMsg(to, Buffer.from('hello'))
  expect(await from.event({ type: 'Status', id })).toMatchObject({ ok: true })
}

/** Each value once for every run of it. */
function runs<T>(values: T[]): T[] {
  return values.filter((value, i) => value !== values[i - 1])
}
