import { describe, expect, it } from 'vitest'
import type { Link } from '../../../src/libp2p/link.ts'
import { BOB, CAROL } from '../allow-list/names.ts'
import { frame, message, turn } from '../protocol/support.ts'
import { FakeLink, FakeNetwork } from './fakes.ts'

const HERE = '10.0.0.7'
const ELSEWHERE = '10.0.0.8'
/** In the network of these tests. */
const HANDSHAKE_MS = 1_000_000

/** What was told, as `Connected`, or `Disconnected lost`. */
function told({ events }: FakeNetwork): string[] {
  return events.splice(0).map(event => ('code' in event ? `${event.type} ${event.code}` : event.type))
}

/** A connection that this side dials; the peer has not admitted it yet. */
async function dialled(network: FakeNetwork, peerId = BOB, id = 1): Promise<FakeLink> {
  network.dialler.dial({ id, peerId, addresses: [`/ip4/10.0.0.1/tcp/${id}`] })
  await turn()
  network.reach(true)
  await turn()
  return network.links.at(-1)!
}

/** Messages that the peer is written to, on the connection. */
async function send(network: FakeNetwork, link: FakeLink, count = 1): Promise<void> {
  for (let i = 0; i < count; i++) network.peers.open(BOB).outbox.send(frame(message(i)))
  await turn()
  link.answer(true)
  await turn()
}

describe('a peer’s object and its handle', () => {
  it('are released when its last connection has ended, and not before', () => {
    const network = new FakeNetwork()
    const { peers, handles } = network
    const first = network.accept(BOB)
    network.accept(CAROL)
    expect([...handles.values()]).toEqual([BOB, CAROL])
    first.abort({ code: 'lost', reason: 'reset' })
    expect(peers.get(BOB)).toBeUndefined()
    expect([...handles.values()]).toEqual([CAROL])
    network.accept(BOB)
    expect(peers.get(BOB)).toBeDefined()
    expect([...handles.values()]).toEqual([CAROL, BOB])
  })

  it('are released when a dial has failed, has been refused a place, or was cancelled', async () => {
    const network = new FakeNetwork()
    const { peers, handles, dialler } = network
    for (const id of [1, 2]) dialler.dial({ id, peerId: BOB, addresses: [`/ip4/10.0.0.1/tcp/${id}`] })
    await turn()
    expect(handles.size).toBe(1)
    network.reach(false)
    await turn()
    expect(peers.get(BOB)).toBeDefined()
    network.reach(false)
    await turn()
    expect(told(network)).toEqual(['Error ERR_DIAL_FAILED', 'Error ERR_DIAL_FAILED'])
    expect(peers.get(BOB)).toBeUndefined()
    expect(handles.size).toBe(0)

    network.hasRoom = () => false
    dialler.dial({ id: 3, peerId: BOB, addresses: ['/ip4/10.0.0.1/tcp/1'] })
    expect(handles.size).toBe(0)
    network.hasRoom = () => true

    dialler.dial({ id: 4, peerId: BOB, addresses: ['/ip4/10.0.0.1/tcp/1'] })
    dialler.cancel(BOB, 'removed')
    expect(handles.size).toBe(0)
    expect(peers.get(BOB)).toBeUndefined()
  })

  it('are released when a dial has led to a connection and that has ended', async () => {
    const network = new FakeNetwork()
    const link = await dialled(network)
    link.answer(true)
    await turn()
    expect(told(network)).toEqual(['Connected'])
    link.abort({ code: 'remote-closed', reason: 'closed' })
    expect(told(network)).toEqual(['Disconnected remote-closed'])
    expect(network.handles.size).toBe(0)
    expect(network.peers.get(BOB)).toBeUndefined()
  })

  it('are released when a connected peer was asked and the dial to it is answered, and it goes then', async () => {
    const network = new FakeNetwork()
    const link = network.accept(BOB)
    network.dialler.dial({ id: 1, peerId: BOB, addresses: ['/ip4/10.0.0.1/tcp/1'] })
    network.asked[0]!.result.resolve(true)
    await turn()
    link.abort({ code: 'lost', reason: 'reset' })
    expect(network.handles.size).toBe(0)
  })

  it('are released once, also when dials to a peer that is silent find no room', async () => {
    const network = new FakeNetwork()
    network.accept(BOB)
    for (const id of [1, 2]) network.dialler.dial({ id, peerId: BOB, addresses: [`/ip4/10.0.0.1/tcp/${id}`] })
    network.hasRoom = () => false
    network.asked[0]!.result.resolve(false)
    await turn()
    expect(told(network).slice(1)).toEqual([
      'Disconnected silent',
      'Error ERR_DIAL_FAILED',
      'Error ERR_DIAL_FAILED'
    ])
    expect(network.retired).toEqual([0])
  })

  it('stay while a message waits for its outcome', async () => {
    const network = new FakeNetwork()
    const link = network.accept(BOB)
    expect(network.peers.isSettled).toBe(true)
    await send(network, link)
    expect(network.peers.isSettled).toBe(false)
    expect(network.peers.get(BOB)!.idle).toBe(false)
    link.abort({ code: 'lost', reason: 'reset' })
    expect(network.statuses).toEqual([{ outcome: 'connection-lost', count: 1 }])
    expect(network.peers.isSettled).toBe(true)
    expect(network.handles.size).toBe(0)
  })

  it('leave their counters behind, with which the peer goes on when it comes back', () => {
    const network = new FakeNetwork()
    network.accept(BOB)
    Object.assign(network.peers.get(BOB)!, { sent: 3, bytesSent: 30, received: 4, bytesReceived: 40 })
    network.links[0]!.abort({ code: 'lost', reason: 'reset' })
    network.accept(BOB)
    expect(network.peers.get(BOB)).toMatchObject({ sent: 3, bytesSent: 30, received: 4, bytesReceived: 40 })
  })

  it('are the same while they are there', () => {
    const network = new FakeNetwork()
    network.accept(BOB)
    const peer = network.peers.get(BOB)!
    expect(network.peers.open(BOB)).toBe(peer)
    expect(network.handles.size).toBe(1)
    expect([...network.peers]).toEqual([peer])
  })
})

describe('connections that are open', () => {
  it('are counted from their local checks to their end, whoever they belong to and whatever is told', async () => {
    const network = new FakeNetwork()
    const { peers } = network
    expect(peers.links).toBe(0)
    const bob = network.accept(BOB)
    const carol = await dialled(network, CAROL)
    expect(peers.links).toBe(2)
    bob.abort({ code: 'lost', reason: 'reset' })
    peers.closed(bob as unknown as Link)
    expect(peers.links).toBe(1)
    peers.stop()
    network.accept(BOB)
    expect(peers.links).toBe(2)
    expect([...network.handles.values()]).toEqual([CAROL])
    carol.abort({ code: 'lost', reason: 'reset' })
    expect(peers.links).toBe(1)
  })

  it('do not count when they had ended before they were known', () => {
    const network = new FakeNetwork()
    network.peers.opened(
      Object.assign(new FakeLink(BOB, 'inbound', () => {}), { open: false }) as unknown as Link
    )
    expect(network.peers.links).toBe(0)
    expect(network.peers.get(BOB)).toBeUndefined()
  })

  it('cost the peer that makes more than 512 at once and 8 a second, not those dialled to it', () => {
    const network = new FakeNetwork()
    const { charges, clock } = network
    for (let i = 0; i < 512; i++) network.accept(BOB)
    expect(charges).toEqual([])
    network.accept(BOB)
    expect(charges).toEqual([`${BOB} protocol-abuse: connects again and again`])
    network.accept(CAROL)
    for (let i = 0; i < 600; i++) {
      const link = new FakeLink(CAROL, 'outbound', ended => network.peers.closed(ended as unknown as Link))
      network.peers.opened(link as unknown as Link)
      link.abort({ code: 'lost', reason: 'reset' })
    }
    clock.advance(1_000)
    for (let i = 0; i < 8; i++) network.accept(BOB)
    expect(charges).toHaveLength(1)
    network.accept(BOB)
    expect(charges).toHaveLength(2)
  })

  it('cost the peer what it did to end them', () => {
    const network = new FakeNetwork()
    const fault = { cause: 'malformed-message', reason: 'no such frame' } as const
    network.accept(BOB, { fault }).abort({ code: 'protocol', reason: 'no such frame' })
    expect(network.charges).toEqual([`${BOB} malformed-message: no such frame`])
    network.accept(BOB).abort({ code: 'lost', reason: 'reset' })
    expect(network.charges).toHaveLength(1)
  })
})

describe('a connection that the peer makes', () => {
  it('takes the place of the one it made before', async () => {
    const network = new FakeNetwork()
    const first = network.accept(BOB)
    const second = network.accept(BOB)
    expect(first.end).toEqual({ code: 'replaced', reason: 'replaced by a newer connection of the same peer' })
    expect(second.open).toBe(true)
    await turn()
    expect(second.open).toBe(true)
    expect(told(network)).toEqual(['Connected', 'Disconnected replaced', 'Connected'])
  })

  it('takes the place of one that this side dialled when that is older than two handshakes', async () => {
    for (const [age, isReplaced] of [
      [2 * HANDSHAKE_MS, false],
      [2 * HANDSHAKE_MS + 1, true]
    ] as const) {
      const network = new FakeNetwork()
      network.clock.advance(5)
      const old = await dialled(network)
      old.answer(true)
      await turn()
      network.clock.advance(age)
      network.accept(BOB)
      expect(old.open).toBe(!isReplaced)
    }
  })

  it('takes no place when this side has dialled it', async () => {
    const network = new FakeNetwork()
    const old = network.accept(BOB)
    network.dialler.dial({ id: 1, peerId: BOB, addresses: ['/ip4/10.0.0.1/tcp/1'] })
    network.clock.advance(3 * HANDSHAKE_MS)
    network.asked[0]!.result.resolve(true)
    await turn()
    const link = new FakeLink(BOB, 'outbound', () => {})
    network.peers.opened(link as unknown as Link)
    expect(old.open).toBe(true)
  })

  it('has the others asked for a sign of life, which give way when they give none and there is another', async () => {
    for (const [alive, hasOther, ends] of [
      [true, true, false],
      [false, true, true],
      [false, false, false]
    ] as const) {
      const network = new FakeNetwork()
      const old = await dialled(network)
      old.answer(true)
      await turn()
      let settle: (alive: boolean) => void = () => {}
      old.alive = new Promise(resolve => {
        settle = resolve
      })
      const other = network.accept(BOB)
      if (!hasOther) other.abort({ code: 'lost', reason: 'reset' })
      settle(alive)
      await turn()
      expect(old.open).toBe(!ends)
      if (ends) expect(old.end.code).toBe('replaced')
      expect(told(network)[0]).toBe('Connected')
    }
  })

  it('is not asked itself: it has just been heard', async () => {
    const network = new FakeNetwork()
    const old = await dialled(network)
    old.answer(true)
    await turn()
    const link = network.accept(BOB, { alive: Promise.resolve(false) })
    await turn()
    expect(link.open).toBe(true)
  })

  it('is told as before when another that was not reported gives way to it', async () => {
    const network = new FakeNetwork()
    const outbound = await dialled(network)
    outbound.alive = Promise.resolve(false)
    network.accept(BOB)
    outbound.answer(true)
    await turn()
    expect(outbound.end.code).toBe('replaced')
    expect(told(network)).toEqual(['Connected'])
  })

  it('answers the dials that wait when it takes the place of another: one as Connected, the others behind it', async () => {
    const network = new FakeNetwork()
    network.accept(BOB)
    told(network)
    for (const id of [1, 2, 3])
      network.dialler.dial({ id, peerId: BOB, addresses: [`/ip4/10.0.0.1/tcp/${id}`] })
    network.accept(BOB)
    await turn()
    expect(network.events).toMatchObject([
      { type: 'Disconnected', code: 'replaced' },
      { type: 'Connected', id: 1 },
      { type: 'AlreadyConnected', id: 2 },
      { type: 'AlreadyConnected', id: 3 }
    ])
  })

  it('whose other is not admitted yet does not cost it its only usable one', async () => {
    const network = new FakeNetwork()
    const old = network.accept(BOB, { alive: Promise.resolve(false) })
    network.peers.opened(new FakeLink(BOB, 'outbound', () => {}) as unknown as Link)
    await turn()
    expect(old.open).toBe(true)
  })

  it('ends when its handshake began before the application parted from it, within the time of a handshake', () => {
    const network = new FakeNetwork()
    const { clock, peers } = network
    clock.advance(100)
    peers.disconnect(BOB)
    const early = network.accept(BOB, { begunAt: 99 })
    expect(early.open).toBe(false)
    expect(early.end).toEqual({ code: 'parted', reason: 'disconnected by this application' })
    expect(told(network)).toEqual([])
    expect(network.handles.size).toBe(0)
    expect(network.accept(BOB, { begunAt: 100 }).open).toBe(true)
    expect(network.accept(CAROL, { begunAt: 0 }).open).toBe(true)
    network.links[0]!.abort({ code: 'lost', reason: 'reset' })
    clock.advance(HANDSHAKE_MS)
    expect(network.accept(BOB, { begunAt: 99 }).open).toBe(true)
  })

  it('is measured by the last time that the application parted from the peer', () => {
    const network = new FakeNetwork()
    const { clock, peers } = network
    peers.disconnect(BOB)
    clock.advance(HANDSHAKE_MS - 1)
    peers.disconnect(BOB)
    clock.advance(1)
    expect(network.accept(BOB, { begunAt: 1 }).open).toBe(false)
    clock.advance(HANDSHAKE_MS)
    expect(clock.armed).toBe(0)
  })
})

describe('a connection that was dialled', () => {
  it('is told once the peer has admitted this node, not before', async () => {
    const network = new FakeNetwork()
    const link = await dialled(network)
    expect(told(network)).toEqual([])
    expect(network.peers.get(BOB)!.preferred).toBeUndefined()
    link.answer(true)
    await turn()
    expect(network.events).toEqual([
      { type: 'Connected', peerId: BOB, address: '/ip4/127.0.0.1/tcp/4001', direction: 'outbound', id: 1 }
    ])
    expect(network.peers.get(BOB)!.reportedLink).toBe(link)
  })

  it('that has ended meanwhile is not', async () => {
    const network = new FakeNetwork()
    const link = new FakeLink(BOB, 'outbound', () => {})
    network.peers.opened(link as unknown as Link)
    link.open = false
    network.peers.admit(network.peers.get(BOB)!, link as unknown as Link)
    expect(told(network)).toEqual([])
    expect(link.admitted).toBe(false)
  })
})

describe('an end', () => {
  it('by disconnecting takes every connection and dial of the peer, also one that ends at once', async () => {
    const network = new FakeNetwork()
    const first = await dialled(network)
    first.answer(true)
    await turn()
    const second = network.accept(BOB)
    network.dialler.dial({ id: 2, peerId: BOB, addresses: ['/ip4/10.0.0.1/tcp/2'] })
    told(network)
    // The goodbye of this one takes a moment.
    const closing: string[] = []
    second.close = async ({ code }) => {
      closing.push(code)
      second.open = false
    }
    network.peers.disconnect(BOB)
    expect(told(network)).toEqual(['Error ERR_DIAL_FAILED', 'Disconnected parted'])
    expect(first.end.code).toBe('parted')
    expect(closing).toEqual(['parted'])
    network.peers.disconnect(CAROL)
    expect(told(network)).toEqual([])
  })

  it('by a bar takes every connection and dial of the peer', async () => {
    const network = new FakeNetwork()
    const first = await dialled(network)
    const second = network.accept(BOB)
    const other = network.accept(CAROL)
    told(network)
    network.peers.hangUp(BOB, 'token bucket empty')
    for (const { end } of [first, second])
      expect(end).toEqual({ code: 'barred', reason: 'token bucket empty' })
    expect(network.events).toMatchObject([
      { type: 'Disconnected', peerId: BOB, code: 'barred', reason: 'token bucket empty' }
    ])
    expect(other.open).toBe(true)
    network.dialler.dial({ id: 2, peerId: BOB, addresses: ['/ip4/10.0.0.1/tcp/2'] })
    network.events.length = 0
    network.peers.hangUp(BOB, 'token bucket empty')
    expect(network.events).toMatchObject([{ type: 'Error', id: 2 }])
  })

  it('by silence takes the connections that were usable', async () => {
    const network = new FakeNetwork()
    const second = new FakeLink(BOB, 'outbound', () => {})
    network.peers.opened(second as unknown as Link)
    const first = network.accept(BOB)
    network.peers.endSilent(network.peers.get(BOB)!)
    expect(first.end).toEqual({ code: 'silent', reason: 'it gave no sign of life when it was asked for one' })
    expect(second.open).toBe(true)
    expect(told(network)).toEqual(['Connected', 'Disconnected silent'])
  })

  it('by the allow list takes the connections that it no longer allows, and the dials', async () => {
    const network = new FakeNetwork({ list: [{ peerId: BOB, ips: [HERE, ELSEWHERE] }, { peerId: CAROL }] })
    const inbound = network.accept(BOB, { ip: HERE })
    const outbound = new FakeLink(BOB, 'outbound', ended => network.peers.closed(ended as unknown as Link))
    outbound.ip = ELSEWHERE
    network.peers.opened(outbound as unknown as Link)
    network.accept(CAROL)
    network.allowList.add({ peerId: BOB, ips: [HERE] })
    network.peers.enforceAllowList()
    expect(inbound.open).toBe(true)
    expect(outbound.end).toEqual({ code: 'removed', reason: 'no longer allowed by the allow list' })
    network.dialler.dial({ id: 1, peerId: BOB, addresses: [`/ip4/${HERE}/tcp/1`] })
    await turn()
    network.allowList.add({ peerId: BOB, ips: [ELSEWHERE] })
    told(network)
    network.peers.enforceAllowList()
    expect(told(network)).toEqual(['Disconnected removed'])
    network.allowList.remove(BOB)
    network.peers.enforceAllowList()
    expect(told(network)).toEqual(['Error ERR_DIAL_FAILED'])
    expect(network.links.map(({ peerId }) => peerId)).toEqual([CAROL])
  })

  it('of one connection is not told while another is usable, and then as that of the last', async () => {
    const network = new FakeNetwork()
    const first = await dialled(network)
    first.answer(true)
    await turn()
    const second = network.accept(BOB)
    told(network)
    second.abort({ code: 'lost', reason: 'reset' })
    expect(told(network)).toEqual([])
    first.abort({ code: 'remote-closed', reason: 'closed' })
    expect(network.events).toEqual([
      { type: 'Disconnected', peerId: BOB, code: 'remote-closed', reason: 'closed' }
    ])
  })

  it('of the node tells everybody gone, and nothing after that', async () => {
    const network = new FakeNetwork()
    const link = network.accept(BOB)
    await send(network, link)
    network.accept(CAROL)
    told(network)
    network.peers.stop()
    expect(told(network)).toEqual(['Disconnected stopped', 'Disconnected stopped'])
    link.abort({ code: 'lost', reason: 'reset' })
    network.accept(BOB)
    network.peers.admit(network.peers.open(BOB), network.links[0] as unknown as Link)
    expect(told(network)).toEqual([])
    expect(network.statuses).toEqual([])
  })
})

describe('messages to a peer', () => {
  it('are 16,384 in flight at most', async () => {
    const network = new FakeNetwork()
    const link = network.accept(BOB)
    await send(network, link, 16_385)
    const one = frame(message(0)).length
    expect(link.streams[0]!.leftBytes.length).toBe(16_384 * one)
  })

  it('are 4 MiB in flight at most', async () => {
    const network = new FakeNetwork()
    const link = network.accept(BOB)
    const big = frame(message(0, 1024 * 1024 - 3))
    for (let i = 0; i < 5; i++) network.peers.get(BOB)!.outbox.send(big)
    await turn()
    link.answer(true)
    await turn()
    expect(link.streams[0]!.leftBytes.length).toBe(4 * 1024 * 1024)
  })

  it('that are not answered in time although it is heard cost it a token', async () => {
    const network = new FakeNetwork({ limits: { ackTimeoutMs: 1_000, messageTimeoutMs: 2_000 } })
    const link = network.accept(BOB)
    await send(network, link)
    // One message of the peer's that is just fast enough may lie before the ack: 1 s and 2 s.
    for (let ms = 0; ms < 2_900; ms += 100) {
      network.clock.advance(100)
      link.hear(network.clock.now())
      await turn()
    }
    expect(network.statuses).toEqual([])
    for (let ms = 0; ms < 2_000; ms += 100) {
      network.clock.advance(100)
      link.hear(network.clock.now())
      await turn()
    }
    expect(network.statuses).toEqual([{ outcome: 'ack-timeout', count: 1 }])
    expect(network.charges).toEqual([`${BOB} unanswered-ack: a message was not answered in time`])
  })

  it('that are answered with what is no ack cost it a token', async () => {
    const network = new FakeNetwork()
    const link = network.accept(BOB)
    await send(network, link)
    link.streams[0]!.receive(Uint8Array.of(1, 99))
    await turn()
    expect(network.charges).toEqual([expect.stringMatching(new RegExp(`^${BOB} malformed-message: .`))])
  })
})
