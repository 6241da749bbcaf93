import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ControlEvent } from '../../../src/bridge/types.ts'
import { BOB, CAROL } from '../allow-list/names.ts'
import { seed, turn } from '../protocol/support.ts'
import { FakeNetwork } from './fakes.ts'

const PEERS = [BOB, CAROL]

function addressOf(port: number): string {
  return `/ip4/127.0.0.1/tcp/${port}`
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
    network.dialler.dial({ id: 1, peerId: BOB, addresses: [addressOf(1)] })
    await turn()
    network.accept(BOB)
    network.reach(true)
    await turn()
    network.links[1]!.answer(true)
    await turn()
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
