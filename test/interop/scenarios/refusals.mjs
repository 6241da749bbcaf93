/** Messages that are not taken: the sender is told which, and the next one goes through. */
import { expectEqual, expectTrue } from '../cell.mjs'
import { OURS } from '../kinds.mjs'
import { complete, exchange } from './echo.mjs'

/** Messages that our receiver channel holds. Its reader has one more in hand when it stops reading. */
const ROOM = 64

async function weFill(from, to) {
  await to.ask('receive', { acks: '1' })
  const count = 200
  const { acks, unanswered } = await from.ask('send', {
    peerId: to.peerId,
    count,
    size: 10,
    mode: 'long',
    window: 50
  })
  const expected = `${JSON.stringify(acks)}, should be ${ROOM} accepted, or a few more, and the rest refused`
  expectTrue(`acks ${expected}`, acks[0] >= ROOM && acks[0] <= ROOM + 2 && acks[0] + acks[1] === count)
  expectEqual('messages without an answer', unanswered, 0)
  await to.ask('receive', { acks: '0' })
  const { count: taken } = await to.ask('expect', { peerId: from.peerId, count: acks[0] })
  expectEqual('messages taken', taken, acks[0])
  const { priority } = await to.ask('events')
  const dropped = priority.reduce((sum, event) => sum + event.messages, 0)
  expectEqual('what the priority channel counts', dropped, acks[1])
}

async function theyRefuse(ours, other) {
  await other.ask('receive', { acks: '1' })
  const { acks, reasons } = await ours.ask('send', {
    peerId: other.peerId,
    count: 20,
    size: 10,
    mode: 'long',
    window: 5
  })
  expectEqual('refused by the other side', [acks[1], reasons], [20, { 'refused-full': 20 }])
  await other.ask('receive', { acks: '0' })
}

export const full = {
  name: 'full',
  title: 'refusal when full, by either side',
  applies: complete,
  run: async cell => {
    const limits = { receiverMessages: ROOM }
    const { ours, other } = await cell.meet({ options: { limits }, otherOptions: { limits } })
    await weFill(other, ours)
    await (other.kind === OURS ? weFill(ours, other) : theyRefuse(ours, other))
    await exchange(ours, other)
  }
}

async function tooLargeFor(to, from, size) {
  for (const mode of from.kind.modes) {
    const batch = { peerId: to.peerId, count: 1, mode, window: 1 }
    const { acks } = await from.ask('send', { ...batch, size })
    expectEqual(`acks of ${size} bytes ${mode} from ${from.kind.name}`, acks, { 0: 0, 1: 0, 2: 1 })
    const next = await from.ask('send', { ...batch, size: size - 1 })
    expectEqual('the next message', next.acks, { 0: 1, 1: 0, 2: 0 })
  }
}

export const tooLarge = {
  name: 'too-large',
  title: 'refusal as too large, and the next message goes through',
  applies: complete,
  run: async cell => {
    // Each limit is tried by the side that allows itself more.
    const { ours, other } = await cell.meet({
      options: { limits: { maxMessageBytes: 5_000 } },
      otherOptions: { limits: { maxMessageBytes: 1_000 } }
    })
    if (other.kind !== OURS) {
      await other.ask('receive', { acks: '0', limit: 1_000 })
      await tooLargeFor(ours, other, 5_001)
    }
    await tooLargeFor(other, ours, 1_001)
    const { buckets } = await ours.ask('inspect')
    expectEqual('charges', buckets, [])
  }
}
