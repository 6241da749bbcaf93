import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ControlEvent } from '../../../src/bridge/types.ts'
import { BOB, CAROL } from '../allow-list/names.ts'
import { generatePrivateKey, peerIdFromPrivateKey } from '../../../src/identity/index.ts'
import { seed, TestStream, turn } from '../protocol/support.ts'
import { FakeNetwork } from './fakes.ts'

const PEERS = [BOB, CAROL]

function addressOf(port: number): string {
  return `/ip4/127.0.0.1/tcp/${port}`
}

async function somePeer(): Promise<string> {
  return peerIdFromPrivateKey(await generatePrivateKey())
}

/** What was told with an id: `Connected 1`. */
function outcomes({ events }: FakeNetwork): string[] {
  return events.flatMap(event =>
    'id' in event && event.id !== undefined ? [`${event.type} ${event.id}`] : []
  )
}

async function connected(): Promise<FakeNetwork> {
  const network = new FakeNetwork()
  network.accept(BOB)
  await turn()
  network.events.length = 0
  return network
}

describe('a dial', () => {
  it('that joins others, to the same address or another, ends with them: the first as Connected, the others as AlreadyConnected', async () => {
    const network = new FakeNetwork()
    for (const [id, port] of [1, 1, 2].entries()) {
      network.dialler.dial({ id, peerId: BOB, addresses: [addressOf(port)] })
    }
    await turn()
    network.reach(true)
    await turn()
    expect(network.events).toEqual([])
    network.links[0]!.answer(true)
    await turn()
    expect(outcomes(network)).toEqual(['Connected 0', 'AlreadyConnected 1', 'AlreadyConnected 2'])
    expect(network.events[1]).toMatchObject({
      peerId: BOB,
      keyHash: '00'.repeat(32),
      address: addressOf(4001)
    })
    expect(network.knocks).toHaveLength(0)
  })

  it('that loses to the peer, which has dialled at the same moment, has come true by that', async () => {
    const network = new FakeNetwork()
    await network.dialBoth(BOB)
    expect(network.events).toMatchObject([{ type: 'Connected', direction: 'inbound', id: 1 }])
  })

  it('to a connected peer that gives a sign of life ends AlreadyConnected, several by one question', async () => {
    const network = await connected()
    for (const id of [1, 2]) network.dialler.dial({ id, peerId: BOB, addresses: [addressOf(1)] })
    await turn()
    expect(outcomes(network)).toEqual([])
    expect(network.asked).toHaveLength(1)
    network.asked[0]!.result.resolve(true)
    await turn()
    expect(outcomes(network)).toEqual(['AlreadyConnected 1', 'AlreadyConnected 2'])
    expect(network.knocks).toEqual([])
  })

  it('to a connected peer that gives none takes the place of its connection', async () => {
    const network = await connected()
    for (const id of [1, 2]) network.dialler.dial({ id, peerId: BOB, addresses: [addressOf(id)] })
    network.asked[0]!.result.resolve(false)
    await turn()
    expect(network.events).toMatchObject([{ type: 'Disconnected', code: 'silent' }])
    network.reach(true)
    await turn()
    network.links[0]!.answer(true)
    await turn()
    expect(outcomes(network)).toEqual(['Connected 1', 'AlreadyConnected 2'])
  })

  it('to a connected peer that is asked and replaces its connection meanwhile has come true by that', async () => {
    const network = await connected()
    network.dialler.dial({ id: 1, peerId: BOB, addresses: [addressOf(1)] })
    network.accept(BOB)
    network.asked[0]!.result.resolve(false)
    await turn()
    expect(outcomes(network)).toHaveLength(1)
    expect(network.links).toHaveLength(1)
  })

  it('to a connected peer that is asked ends when it is cancelled, and one that follows asks anew', async () => {
    const network = await connected()
    network.dialler.dial({ id: 1, peerId: BOB, addresses: [addressOf(1)] })
    network.dialler.cancel(BOB, 'removed')
    expect(outcomes(network)).toEqual(['Error 1'])
    network.dialler.dial({ id: 2, peerId: BOB, addresses: [addressOf(1)] })
    network.asked[0]!.result.resolve(false)
    await turn()
    expect(outcomes(network)).toEqual(['Error 1'])
    network.asked[1]!.result.resolve(true)
    await turn()
    expect(outcomes(network)).toEqual(['Error 1', 'AlreadyConnected 2'])
  })

  it('that waits for a cancelled one to let go is answered, too', async () => {
    const network = new FakeNetwork()
    network.dialler.dial({ id: 1, peerId: BOB, addresses: [addressOf(1)] })
    await turn()
    network.dialler.cancel(BOB, 'parted')
    network.dialler.dial({ id: 2, peerId: BOB, addresses: [addressOf(1)] })
    await turn()
    expect(network.knocks).toHaveLength(1)
    network.reach(true)
    await turn()
    network.links[0]?.answer(true)
    await turn()
    network.reach(true)
    await turn()
    network.links[0]!.answer(true)
    await turn()
    expect(outcomes(network)).toEqual(['Error 1', 'Connected 2'])
  })

  it('ends in exactly one event, whatever happens to it, and peers come and go in turns', async () => {
    const peer = fc.constantFrom(...PEERS)
    const which = fc.nat(3)
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.record({ dial: peer, port: fc.integer({ min: 1, max: 3 }) }) },
      { weight: 1, arbitrary: fc.record({ cancel: peer }) },
      { weight: 1, arbitrary: fc.record({ part: peer }) },
      { weight: 1, arbitrary: fc.record({ bar: peer }) },
      { weight: 2, arbitrary: fc.record({ accept: peer }) },
      { weight: 4, arbitrary: fc.record({ reach: fc.boolean() }) },
      { weight: 4, arbitrary: fc.record({ answer: fc.boolean(), which }) },
      { weight: 2, arbitrary: fc.record({ lose: which }) },
      { weight: 3, arbitrary: fc.record({ alive: fc.boolean(), which }) },
      { weight: 2, arbitrary: fc.record({ pass: fc.integer({ min: 0, max: 5_000 }) }) },
      { weight: 4, arbitrary: fc.constant('turn' as const) }
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.boolean(), async (steps, stops) => {
        const network = new FakeNetwork()
        const { peers, dialler, links, clock } = network
        let ids = 0
        for (const item of steps) {
          if (item === 'turn') await turn()
          else if ('dial' in item)
            dialler.dial({ id: ids++, peerId: item.dial, addresses: [addressOf(item.port)] })
          else if ('cancel' in item) dialler.cancel(item.cancel, 'removed')
          else if ('part' in item) peers.disconnect(item.part)
          else if ('bar' in item) peers.hangUp(item.bar, 'barred')
          else if ('accept' in item) network.accept(item.accept)
          else if ('reach' in item) network.reach(item.reach)
          else if ('answer' in item) links[item.which]?.answer(item.answer)
          else if ('lose' in item) links[item.lose]?.abort({ code: 'lost', reason: 'reset' })
          else if ('alive' in item) network.asked.splice(item.which, 1)[0]?.result.resolve(item.alive)
          else clock.advance(item.pass)
        }
        if (stops) {
          peers.stop()
          dialler.cancel(undefined, 'the node is stopping')
        } else {
          await bringToAnEnd(network)
        }
        const answered = network.events.flatMap(event =>
          'id' in event && event.id !== undefined ? [event.id] : []
        )
        expect(answered.toSorted((a, b) => a - b)).toEqual(Array.from({ length: ids }, (_, id) => id))
        for (const peerId of PEERS) expectTurns(network.events, peerId)
      }),
      { seed, numRuns: 300 }
    )
  })
})

/** What was told, in words. */
function messages({ events }: FakeNetwork): Array<Record<string, unknown>> {
  return events.splice(0).map(event => ({ ...event }))
}

describe('a dial is refused', () => {
  const dial = (network: FakeNetwork, addresses: string[], peerId = BOB): void =>
    network.dialler.dial({ id: 1, peerId, addresses })

  it('when the allow list does not name the peer', () => {
    const network = new FakeNetwork({ list: [{ peerId: CAROL }] })
    dial(network, [addressOf(1)])
    expect(messages(network)).toEqual([
      {
        type: 'Error',
        code: 'ERR_NOT_ALLOWED',
        message: `dial to ${addressOf(1)} denied here: ${BOB} is not on the allow list`,
        why: 'denied',
        ip: '127.0.0.1',
        peerId: BOB,
        id: 1
      }
    ])
    expect(network.dialler.isIdle).toBe(true)
    expect(network.handles.size).toBe(0)
  })

  it('when the allow list has the peer at none of the addresses', () => {
    const network = new FakeNetwork({ list: [{ peerId: BOB, ips: ['10.0.0.1'] }] })
    dial(network, ['/ip4/10.0.0.2/tcp/1', '/ip4/10.0.0.3/tcp/1', '/ip4/10.0.0.4/tcp/1'])
    const [told] = messages(network)
    expect(told).toMatchObject({ code: 'ERR_NOT_ALLOWED', why: 'denied' })
    expect(told).not.toHaveProperty('ip')
    expect(told!['message']).toBe(
      `dial to /ip4/10.0.0.2/tcp/1 and 2 more denied here: ` +
        ['2', '3', '4'].map(end => `${BOB} is on the allow list, but not at 10.0.0.${end}`).join('; ')
    )
  })

  it.each([
    [['/ip4/10.0.0.2/tcp/1', '/ip4/10.0.0.1/tcp/1']],
    [['/ip4/10.0.0.2/tcp/1', '/dns4/node.example/tcp/1']]
  ])('not when it may have the peer at one of them: %j', addresses => {
    const network = new FakeNetwork({ list: [{ peerId: BOB, ips: ['10.0.0.1'] }] })
    // The look-up of a name never ends.
    network.names.resolve = async () => new Promise(() => {})
    dial(network, addresses)
    expect(messages(network)).toEqual([])
    expect(network.dialler.isIdle).toBe(false)
  })

  it('while the peer is barred', () => {
    const network = new FakeNetwork()
    network.barred.add(BOB)
    dial(network, [addressOf(1)])
    expect(messages(network)).toMatchObject([
      {
        code: 'ERR_NOT_ALLOWED',
        message: `dial to ${addressOf(1)} denied here: ${BOB} is barred: its token bucket is empty`
      }
    ])
  })

  it('while there is no room for a connection beside those that dials are making', async () => {
    const network = new FakeNetwork()
    network.hasRoom = pending => pending < 1
    dial(network, [addressOf(1)])
    await turn()
    dial(network, [addressOf(1)], CAROL)
    expect(messages(network)).toMatchObject([
      {
        code: 'ERR_DIAL_FAILED',
        why: 'denied',
        message: `dial to ${addressOf(1)} failed: limits.maxConnections is reached here`,
        peerId: CAROL
      }
    ])
    // One that joins another makes none.
    dial(network, [addressOf(1)])
    expect(messages(network)).toEqual([])
    network.reach(false)
    await turn()
    expect(messages(network)).toHaveLength(2)
    dial(network, [addressOf(1)], CAROL)
    expect(messages(network)).toEqual([])
  })
})

describe('dials', () => {
  it('connect 64 at once; the others wait', async () => {
    const network = new FakeNetwork()
    const peers = await Promise.all(Array.from({ length: 66 }, async () => somePeer()))
    for (const [id, peerId] of peers.entries())
      network.dialler.dial({ id, peerId, addresses: [addressOf(1)] })
    await turn()
    expect(network.knocks).toHaveLength(64)
    network.reach(false)
    await turn()
    expect(network.knocks).toHaveLength(64)
    expect(network.knocks.at(-1)!.peerId).toBe(peers[64])
  })

  it('to one peer go one after the other, those to the same addresses together, in whatever order they are named', async () => {
    const network = new FakeNetwork()
    const dial = (id: number, ...ports: number[]): void =>
      network.dialler.dial({ id, peerId: BOB, addresses: ports.map(addressOf) })
    dial(1, 1, 2)
    dial(2, 1)
    dial(3, 2, 1)
    dial(4, 1)
    await turn()
    expect(network.knocks).toHaveLength(1)
    expect(network.peers.get(BOB)!.dials).toBe(2)
    // Both addresses fail.
    for (let i = 0; i < 2; i++) {
      network.reach(false)
      await turn()
    }
    expect(outcomes(network)).toEqual(['Error 1', 'Error 3'])
    network.reach(false)
    await turn()
    expect(outcomes(network)).toEqual(['Error 1', 'Error 3', 'Error 2', 'Error 4'])
    expect(network.dialler.isIdle).toBe(true)
    expect(network.handles.size).toBe(0)
  })

  it('to other addresses of a peer are dials of their own, also when some are the same', () => {
    const network = new FakeNetwork()
    for (const [id, ports] of [[1], [1, 2], [2, 3]].entries()) {
      network.dialler.dial({ id, peerId: BOB, addresses: ports.map(addressOf) })
    }
    expect(network.peers.get(BOB)!.dials).toBe(3)
  })

  it('open no socket to an address of a name where the allow list does not have the peer', async () => {
    const network = new FakeNetwork({ list: [{ peerId: BOB, ips: ['10.0.0.1'] }] })
    network.names.resolve = async () => ['10.0.0.2']
    network.dialler.dial({ id: 1, peerId: BOB, addresses: ['/dns4/node.example/tcp/1'] })
    await turn()
    expect(network.knocks).toEqual([])
    expect(messages(network)).toMatchObject([
      { code: 'ERR_NOT_ALLOWED', message: expect.stringContaining('not at 10.0.0.2') as string, id: 1 }
    ])
  })

  it('to other peers need not wait for those to one', async () => {
    const network = new FakeNetwork()
    network.dialler.dial({ id: 1, peerId: BOB, addresses: [addressOf(1)] })
    network.dialler.dial({ id: 2, peerId: BOB, addresses: [addressOf(2)] })
    network.dialler.dial({ id: 3, peerId: CAROL, addresses: [addressOf(1)] })
    await turn()
    expect(network.knocks.map(({ peerId }) => peerId)).toEqual([BOB, CAROL])
  })

  it('are cancelled for one peer, waiting and under way, with a reason and at once', async () => {
    const network = new FakeNetwork()
    for (const id of [1, 2]) network.dialler.dial({ id, peerId: BOB, addresses: [addressOf(id)] })
    network.dialler.dial({ id: 3, peerId: CAROL, addresses: [addressOf(1)] })
    await turn()
    network.dialler.cancel(BOB, 'no longer wanted')
    expect(messages(network)).toMatchObject(
      [1, 2].map(id => ({
        type: 'Error',
        code: 'ERR_DIAL_FAILED',
        why: 'denied',
        message: `dial to ${addressOf(id)} ended: no longer wanted`,
        peerId: BOB,
        id
      }))
    )
    expect(network.peers.get(BOB)).toBeUndefined()
    network.dialler.cancel(BOB, 'again')
    expect(messages(network)).toEqual([])
    network.dialler.cancel(undefined, 'all')
    expect(messages(network)).toMatchObject([{ peerId: CAROL, id: 3 }])
    expect(network.dialler.isIdle).toBe(true)
    // The connection that one of them makes yet is let go.
    network.reach(true)
    await turn()
    const [link] = network.links
    link!.answer(true)
    await turn()
    expect(link!.end).toMatchObject({
      code: 'lost',
      reason: `dial to ${addressOf(1)} ended: no longer wanted`
    })
    expect(network.links).toEqual([])
    expect(messages(network)).toEqual([])
  })

  it('that are cancelled while a connected peer is asked end at once, those to others go on', async () => {
    const network = await connected()
    network.accept(CAROL)
    network.events.length = 0
    for (const [id, peerId] of [BOB, CAROL].entries()) {
      network.dialler.dial({ id, peerId, addresses: [addressOf(1)] })
    }
    network.dialler.cancel(BOB, 'no longer wanted')
    expect(messages(network)).toMatchObject([
      { message: `dial to ${addressOf(1)} ended: no longer wanted`, why: 'denied', peerId: BOB, id: 0 }
    ])
    expect(network.dialler.isIdle).toBe(false)
    for (const { result } of network.asked) result.resolve(true)
    await turn()
    expect(outcomes(network)).toEqual(['AlreadyConnected 1'])
    expect(network.dialler.isIdle).toBe(true)
    for (const link of [...network.links]) link.abort({ code: 'lost', reason: 'reset' })
    expect(network.handles.size).toBe(0)
  })

  it('whose connection ends as soon as it is admitted fail with the reason of its end', async () => {
    const network = new FakeNetwork()
    network.dialler.dial({ id: 1, peerId: BOB, addresses: [addressOf(1)] })
    await turn()
    network.reach(true)
    await turn()
    const [link] = network.links
    const opening = link!.openings.shift()!
    opening.resolve(new TestStream())
    link!.abort({ code: 'removed', reason: 'no longer allowed by the allow list' })
    await turn()
    expect(messages(network)).toMatchObject([
      {
        code: 'ERR_DIAL_FAILED',
        why: 'denied',
        message: `dial to ${addressOf(1)} failed: no longer allowed by the allow list`,
        id: 1
      }
    ])
    expect(network.handles.size).toBe(0)
  })

  it('are done by the denial of the gater, which is of the peer that was expected', async () => {
    const network = new FakeNetwork()
    network.dialler.dial({ id: 1, peerId: BOB, addresses: [addressOf(1)] })
    await turn()
    network.dialler.denied({ reason: 'barred', direction: 'outbound' })
    network.dialler.denied({ reason: 'barred', direction: 'outbound', peerId: CAROL, expected: CAROL })
    network.dialler.denied({ reason: 'peer-mismatch', direction: 'outbound', peerId: CAROL, expected: BOB })
    network.reach(false)
    await turn()
    expect(messages(network)).toMatchObject([{ code: 'ERR_PEER_MISMATCH', why: 'mismatch', id: 1 }])
    // It is taken: the next dial has a reason of its own.
    network.dialler.dial({ id: 2, peerId: BOB, addresses: [addressOf(1)] })
    await turn()
    network.reach(false)
    await turn()
    expect(messages(network)).toMatchObject([{ code: 'ERR_DIAL_FAILED', id: 2 }])
  })
})

/** Everything that is under way fails. */
async function bringToAnEnd(network: FakeNetwork): Promise<void> {
  const { links, asked, knocks } = network
  do {
    for (const { result } of asked.splice(0)) result.resolve(false)
    while (knocks.length > 0) network.reach(false)
    for (const link of links) link.answer(false)
    await turn()
  } while (asked.length > 0 || knocks.length > 0 || links.some(({ openings }) => openings.length > 0))
}

function expectTurns(events: readonly ControlEvent[], peerId: string): void {
  let isConnected = false
  for (const event of events) {
    if (!('peerId' in event) || event.peerId !== peerId) continue
    if (event.type === 'Connected') {
      expect(isConnected).toBe(false)
      isConnected = true
    } else if (event.type === 'Disconnected') {
      expect(isConnected).toBe(true)
      isConnected = false
    } else if (event.type === 'AlreadyConnected') expect(isConnected).toBe(true)
  }
}
