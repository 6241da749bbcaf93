/**
 * The ping scenario of libp2p's transport-interop plan: how long a dial takes with everything up to the first answer,
 * and a round trip on the connection that is up. The names of the figures are the plan's.
 *
 * Our module serves no libp2p ping, so the round trip is that of an empty message and its ack. The scenario beside it
 * has libp2p's own ping between the other side and plain js-libp2p on the same versions of TCP, Noise and yamux.
 */
import { Cell, expectEqual, expectTrue } from '../cell.mjs'
import { JS, OURS } from '../kinds.mjs'
import { complete, exchange } from './echo.mjs'

const COUNT = 20

function note(cell, handshakeMs, rttMs) {
  const middle = rttMs.toSorted((a, b) => a - b)[Math.floor(rttMs.length / 2)]
  expectTrue(`round trips ${rttMs}`, rttMs.length > 0 && rttMs.every(ms => ms > 0))
  expectTrue(`a handshake of ${handshakeMs} ms`, handshakeMs > 0)
  const figures = { handshakePlusOneRTTMillis: round(handshakeMs + rttMs[0]), pingRTTMilllis: round(middle) }
  cell.notes.push(JSON.stringify(figures))
}

const round = ms => Math.round(ms * 1_000) / 1_000

export const ping = {
  name: 'ping',
  title: 'handshake and round trip of an empty message',
  applies: complete,
  run: async cell => {
    const { ours, other, dialMs } = await cell.meet()
    const [from, to] = cell.direction === 'out' ? [ours, other] : [other, ours]
    const rttMs = []
    for (let i = 0; i < COUNT; i++) {
      const { acks, ms } = await from.ask('send', {
        peerId: to.peerId,
        count: 1,
        size: 0,
        mode: 'long',
        window: 1
      })
      expectEqual('acks', acks, { 0: 1, 1: 0, 2: 0 })
      rttMs.push(ms)
    }
    note(cell, dialMs, rttMs)
    if (other.kind === OURS) return
    // A ping that is not served is declined, and nothing else happens.
    expectEqual('a libp2p ping', (await other.try('ping', { peerId: ours.peerId, count: 1 })).ok, false)
    await exchangeAfter(cell, ours, other)
  }
}

async function exchangeAfter(cell, ours, other) {
  await ours.ask('expect', { peerId: other.peerId, count: cell.direction === 'in' ? COUNT : 0 })
  await other.ask('expect', { peerId: ours.peerId, count: cell.direction === 'out' ? COUNT : 0 })
  await exchange(ours, other)
}

export const libp2pPing = {
  name: 'libp2p-ping',
  title: "libp2p's ping, our side being plain js-libp2p on the same stack",
  applies: kind => kind.name !== OURS.name,
  run: async cell => {
    const { ours, other, dialMs } = await new Stack(cell).meet()
    const [from, to] = cell.direction === 'out' ? [ours, other] : [other, ours]
    const { rttMs, handshakeMs } = await from.ask('ping', { peerId: to.peerId, count: COUNT })
    expectTrue(`the handshake took ${handshakeMs} of ${dialMs} ms`, handshakeMs > 0 && handshakeMs <= dialMs)
    note(cell, handshakeMs, rttMs)
    expectEqual('connected', (await to.ask('connected', { peerId: from.peerId })).connected, true)
  }
}

/** The cell, with plain js-libp2p in the place of our module. */
class Stack extends Cell {
  #cell

  constructor(cell) {
    super(cell.kind, cell.direction)
    this.#cell = cell
  }

  async start(kind, init) {
    return this.#cell.start(kind === OURS ? JS : kind, init)
  }
}
