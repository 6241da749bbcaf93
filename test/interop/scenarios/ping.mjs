/**
 * The ping scenario of libp2p's transport-interop plan: how long a dial takes with everything up to the first answer,
 * and a round trip on the connection that is up. The names of the figures are the plan's.
 *
 * Our module answers libp2p's ping and sends none: so the other side's pings are timed, and beside them the round trip
 * of an empty message and its ack, which either side can send.
 */
import { expectEqual, expectTrue } from '../cell.mjs'
import { OURS } from '../kinds.mjs'
import { complete } from './echo.mjs'

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
  }
}

export const libp2pPing = {
  name: 'libp2p-ping',
  title: "libp2p's own ping, answered by our module",
  applies: kind => kind.name !== OURS.name,
  run: async cell => {
    const { ours, other, dialMs } = await cell.meet()
    const { rttMs, handshakeMs } = await other.ask('ping', { peerId: ours.peerId, count: COUNT })
    // Who has not dialled has not timed the handshake.
    expectEqual('round trips', rttMs.length, COUNT)
    note(cell, handshakeMs ?? dialMs, rttMs)
    expectEqual('connected', (await other.ask('connected', { peerId: ours.peerId })).connected, true)
    const { buckets } = await ours.ask('inspect', {})
    expectEqual('charges', buckets, [])
  }
}
