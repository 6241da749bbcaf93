import { expect, test } from 'vitest'
import { connectLocal, portOf, startLocal } from '../support/local-node.ts'
import type { LocalNode } from '../support/local-node.ts'
import { acceptedAt } from '../support/proc.ts'
import { startPassage } from '../support/strangers.ts'

const SLOW_MACHINE = { timeout: 120_000 }

test(
  'two nodes that dial each other at the same moment are connected once, 100 times',
  SLOW_MACHINE,
  async () => {
    const [alice, bob] = await Promise.all([startLocal(), startLocal()])
    for (let round = 1; round <= 100; round++) {
      const [first, second] = round % 2 === 0 ? [alice, bob] : [bob, alice]
      first.dial(second)
      second.dial(first)
      await Promise.all([exchange(alice, bob, round), exchange(bob, alice, round)])
      second.p2p.sender.disconnectFrom(first.peerId)
      await Promise.all([alice.event({ type: 'Disconnected' }), bob.event({ type: 'Disconnected' })])
      await Promise.all([alice.settled(), bob.settled()])
      for (const node of [alice, bob]) {
        const counts = (['Connected', 'Disconnected', 'Error'] as const).map(type => node.count({ type }))
        expect(counts).toEqual([round, round, 0])
        expect(node.events.at(-1)).toMatchObject({ type: 'Disconnected' })
      }
    }
    for (const node of [alice, bob]) {
      const { buckets } = await node.p2p.runtime.inspectAsync()
      // A goodbye can end the other dial's handshake halfway: that costs the address a token, as any broken one does.
      const causes = buckets.flatMap(({ debits }) => debits.map(({ cause }) => cause))
      expect(causes.filter(cause => cause !== 'failed-handshake')).toEqual([])
    }
  }
)

test('a dial that has come true otherwise does not bring back a peer from whom the other side has parted', async () => {
  const [alice, bob] = await Promise.all([startLocal(), startLocal()])
  const passage = await startPassage(portOf(bob))
  alice.dial(bob, passage.address)
  await passage.entered
  await connectLocal(bob, alice)
  bob.p2p.sender.disconnectFrom(alice.peerId)
  await alice.event({ type: 'Disconnected', peerId: bob.peerId })
  // Alice's own dial is still in the middle of its handshake, which bob's node has begun before it parted from alice.
  passage.open()
  await passage.left
  await Promise.all([alice.settled(), bob.settled()])
  for (const node of [alice, bob]) {
    expect(node.events.map(({ type }) => type)).toEqual(['Connected', 'Disconnected'])
  }
  await connectLocal(alice, bob)
})

test(
  'five nodes that all dial each other at once keep one connection a pair, and lose no message meanwhile',
  SLOW_MACHINE,
  async () => {
    const nodes = await Promise.all(Array.from({ length: 5 }, async () => startLocal()))
    const pairs = nodes.flatMap(from => nodes.filter(to => to !== from).map(to => ({ from, to })))
    for (let round = 1; round <= 3; round++) {
      const early = pairs.map(({ from, to }) => {
        from.dial(to)
        return { from, to, id: from.sendMsg(to, Buffer.from('before anybody is connected')) }
      })
      // Every connection is there that these dials make: from here on there are only fewer, down to one for each pair.
      const dialled = Promise.all(nodes.map(async node => node.settled()))
      const deadline = performance.now() + 30_000
      let settled = false
      const talks = pairs.map(async ({ from, to }) => {
        await Promise.all([dialled, from.event({ type: 'Connected', peerId: to.peerId })])
        do {
          const ids = Array.from({ length: 50 }, (_, i) => from.sendMsg(to, Buffer.from(`${i}`)))
          for (const id of ids) expect(await from.event({ type: 'Status', id })).toMatchObject({ ok: true })
          settled ||= nodes.reduce((sum, node) => sum + acceptedAt(portOf(node)), 0) === pairs.length / 2
        } while (!settled && performance.now() < deadline)
      })
      for (const { from, id } of early) {
        expect(await from.event({ type: 'Status', id })).toMatchObject({ ok: true })
      }
      await Promise.all(talks)
      expect(settled, 'superfluous connections are closed').toBe(true)

      for (const { from, to } of pairs) from.p2p.sender.disconnectFrom(to.peerId)
      await Promise.all(
        pairs.map(async ({ from, to }) => from.event({ type: 'Disconnected', peerId: to.peerId }))
      )
      for (const node of nodes) {
        await node.settled()
        const counts = (['Connected', 'Disconnected', 'Error'] as const).map(type => node.count({ type }))
        expect(counts).toEqual([4 * round, 4 * round, 0])
      }
    }
    for (const node of nodes) {
      const sent = nodes.flatMap(({ events }) =>
        events.filter(event => event.type === 'Status' && event.peerId === node.peerId)
      )
      expect(node.count({ type: 'Data' })).toBe(sent.length)
      expect((await node.p2p.runtime.inspectAsync()).buckets).toEqual([])
    }
  }
)

/** Sends before and right after Connected, and receives what the other side sends, all of it and in order. */
async function exchange(self: LocalNode, other: LocalNode, round: number): Promise<void> {
  const texts = Array.from({ length: 6 }, (_, i) => `${round}:${i}`)
  const early = self.sendMsg(other, Buffer.from(texts[0]!))
  await self.event({ type: 'Connected', peerId: other.peerId })
  const ids = [early, ...texts.slice(1).map(text => self.sendMsg(other, Buffer.from(text)))]
  for (const id of ids) {
    const status = await self.event({ type: 'Status', id })
    expect(status, `round ${round}`).toEqual({ type: 'Status', peerId: other.peerId, id, ok: true })
  }
  for (const text of texts) {
    const { data } = await self.event({ type: 'Data', peerId: other.peerId })
    expect(Buffer.from(data).toString()).toBe(text)
  }
}
