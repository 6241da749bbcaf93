/** Messages in both directions: every size, acknowledged, unchanged and in order. */
import { tallyOf } from '../contract/messages.mjs'
import { expectEqual } from '../cell.mjs'

/** What a series of messages must come to: all accepted, and the receiver's hash that of what was sent. */
export async function sendAndWeigh(from, to, { count, size, mode, window }) {
  const received = to.ask('expect', { peerId: from.peerId, count })
  const sent = await from.ask('send', { peerId: to.peerId, count, size, mode, window })
  const what = `${count} × ${size} bytes ${mode} from ${from.kind.name}`
  expectEqual(`acks of ${what}`, [sent.acks, sent.unanswered], [{ 0: count, 1: 0, 2: 0 }, 0])
  const { count: taken, bytes, sha256 } = await received
  expectEqual(what, { count: taken, bytes, sha256 }, tallyOf(count, size))
  return sent
}

const SIZES = [
  [0, 5],
  [1, 5],
  [100, 20],
  [1_024, 20],
  [65_536, 10],
  [150_000, 5],
  [620_000, 5],
  [1_048_576, 4],
  [8_388_608, 2]
]

async function echo(cell, { mode, quick }) {
  const { ours, other } = await cell.meet()
  const sizes = quick ? SIZES.filter(([size]) => size <= 65_536) : SIZES
  for (const [size, count] of sizes) {
    // Streams of one message each are in no order unless one follows the other.
    await sendAndWeigh(other, ours, { count, size, mode, window: mode === 'long' ? 16 : 1 })
    // A peer that closes a stream behind one message is sent one at a time: its messages in between leave time for it.
    const ourCount = other.kind.inbound === 'streams' ? count : 1
    await sendAndWeigh(ours, other, { count: ourCount, size, mode: 'long', window: 16 })
  }
}

export const echoLong = {
  name: 'echo-long',
  title: 'echo of every size, long-lived streams',
  applies: ({ modes }) => modes.includes('long'),
  run: async (cell, init) => echo(cell, { mode: 'long', ...init })
}

export const echoSingle = {
  name: 'echo-single',
  title: 'echo of every size, one stream a message',
  applies: ({ modes }) => modes.includes('single'),
  run: async (cell, init) => echo(cell, { mode: 'single', ...init })
}

/** A few messages in both directions. */
export async function exchange(ours, other) {
  const batch = { count: 10, size: 100, mode: 'long', window: 10 }
  await sendAndWeigh(ours, other, batch)
  await sendAndWeigh(other, ours, batch)
}

/** Takes part in everything that is not about one way of sending. */
export const complete = ({ inbound, modes }) => inbound === 'streams' && modes.includes('long')
/** Writes what it is told to, which our module does not. */
export const foreign = kind => complete(kind) && kind.name !== 'ours'

export const pipelined = {
  name: 'pipelined',
  title: '10,000 pipelined messages, order and hash',
  applies: complete,
  run: async (cell, { quick }) => {
    const { ours, other } = await cell.meet()
    const batch = { count: quick ? 1_000 : 10_000, size: 1_000, mode: 'long', window: 10_000 }
    for (const [from, to] of [
      [ours, other],
      [other, ours]
    ]) {
      const { ms } = await sendAndWeigh(from, to, batch)
      cell.notes.push(`${from.kind.name} → ${to.kind.name} ${ms.toFixed(0)} ms`)
    }
  }
}
