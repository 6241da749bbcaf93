/** What the other side must not write: each costs it a token, and with none left it is cut off. */
import { expectEqual, expectTrue } from '../cell.mjs'
import { foreign } from './echo.mjs'

/** Frames by docs/protocol.md, "Malformed input": name, bytes, and what the peer does with the stream behind them. */
const FRAMES = [
  ['a length that is not minimal', '810001', 'leave'],
  ['0 in two bytes', '8000', 'leave'],
  ['a length of five bytes', '8080808001', 'leave'],
  ['a frame cut off', '050102', 'close'],
  ['the end directly after a length', '05', 'close'],
  ['the end inside a length', '80', 'close'],
  ['a good message, and one cut off', '0107050102', 'close']
]

/** The same for acks. The message is answered by what comes before the fault. */
const ACKS = [
  ['an unknown status', '0103', false],
  ['an ack of 0 bytes', '00', false],
  ['an ack of 65 bytes', `41${'00'.repeat(65)}`, false],
  ['an ack whose length is not minimal', '810000', false],
  ['an ack that answers nothing', '01000100', true]
]

/** Plenty of tokens, and none that come back before the scenario is over. */
const RATE_LIMIT = { capacity: 100, refillPerSecond: 0.001 }

/** Waits until that many tokens have been taken from the other side. @throws unless each was for that cause */
async function expectCharged(what, { ours, other }, tokens, cause = 'malformed-message') {
  const { bucket } = await ours.ask('untilCharged', {
    peerId: other.peerId,
    tokens,
    capacity: RATE_LIMIT.capacity
  })
  const causes = bucket?.debits.map(debit => debit.cause) ?? []
  const wanted = Array.from({ length: tokens }, () => cause)
  expectEqual(`charges after ${what}`, causes, wanted)
}

/** Whatever breaks a stream off is an end, and a reset behind it: the acks before must get through. */
const BROKEN_OFF = ['closed', 'reset']

export const malformed = {
  name: 'malformed',
  title: 'malformed frames of each kind: stream reset, one token each',
  applies: foreign,
  run: async cell => {
    const { ours, other } = await cell.meet({ options: { rateLimit: RATE_LIMIT } })
    const raw = async (hex, end) => other.ask('raw', { peerId: ours.peerId, hex, end })
    for (const [hex, end, answer, endings] of [
      ['00', 'close', '0100', ['closed']],
      ['0100', 'leave', '0100', ['open']],
      ['00ffffff7f', 'leave', '01000102', BROKEN_OFF],
      ['0501', 'reset', '', ['reset']]
    ]) {
      const { read, ended } = await raw(hex, end)
      expectEqual(`the answer to ${hex}`, read, answer)
      expectTrue(`after ${hex} the stream ended as ${ended}`, endings.includes(ended))
    }
    let tokens = 0
    for (const [name, hex, end] of FRAMES) {
      const { ended } = await raw(hex, end)
      expectTrue(`after ${name} the stream ended as ${ended}`, BROKEN_OFF.includes(ended))
      await expectCharged(name, { ours, other }, ++tokens)
    }
    expectEqual('connected', (await other.ask('connected', { peerId: ours.peerId })).connected, true)
  }
}

export const cutOff = {
  name: 'cut-off',
  title: 'out of tokens: cut off, one ConnectionLimit, barred',
  applies: foreign,
  run: async cell => {
    const rateLimit = { capacity: 3, refillPerSecond: 0.001 }
    const pair = await cell.meet({ options: { rateLimit } })
    const { ours, other } = pair
    const gone = other.ask('untilDisconnected', { peerId: ours.peerId })
    for (let i = 0; i <= rateLimit.capacity; i++) {
      const { ended } = await other.ask('raw', { peerId: ours.peerId, hex: '8000', end: 'leave' })
      const expected = i < rateLimit.capacity ? BROKEN_OFF : [...BROKEN_OFF, 'connection']
      expectTrue(`violation ${i + 1} ended the stream as ${ended}`, expected.includes(ended))
    }
    await Promise.all([gone, ours.ask('untilDisconnected', { peerId: other.peerId })])
    await cell.dialInVain(pair)
    const { counts } = await ours.ask('events')
    expectEqual('ConnectionLimit events', counts['ConnectionLimit malformed-message'], 1)
    const { buckets } = await ours.ask('inspect')
    expectEqual('barred', buckets.find(({ peerId }) => peerId === other.peerId)?.barred, true)
  }
}

export const badAcks = {
  name: 'bad-acks',
  title: 'malformed acks of each kind: one token each, outcome as known',
  applies: foreign,
  run: async cell => {
    const { ours, other } = await cell.meet({ options: { rateLimit: RATE_LIMIT } })
    const send = async () =>
      ours.ask('send', { peerId: other.peerId, count: 1, size: 10, mode: 'long', window: 1 })
    await other.ask('receive', { acks: 'raw', raw: `40${'00'.repeat(64)}` })
    expectEqual('an ack with reserved bytes', (await send()).acks[0], 1)
    let tokens = 0
    for (const [name, raw, answered] of ACKS) {
      await other.ask('receive', { acks: 'raw', raw })
      const { acks, reasons } = await send()
      const should = answered ? [1, {}] : [0, { 'connection-lost': 1 }]
      expectEqual(`the outcome after ${name}`, [acks[0], reasons], should)
      await expectCharged(name, { ours, other }, ++tokens)
    }
    await other.ask('receive', { acks: '0' })
    expectEqual('a message after them', (await send()).acks[0], 1)
  }
}

export const withheld = {
  name: 'ack-withheld',
  title: 'ack withheld: Status ack-timeout, one token',
  applies: foreign,
  run: async cell => {
    const { ours, other } = await cell.meet({
      options: { rateLimit: RATE_LIMIT, limits: { ackTimeoutMs: 500 } }
    })
    await other.ask('receive', { acks: 'withhold' })
    const batch = { peerId: other.peerId, count: 1, size: 10, mode: 'long', window: 1 }
    const { reasons } = await ours.ask('send', batch)
    expectEqual('the outcome', reasons, { 'ack-timeout': 1 })
    await expectCharged('the ack was withheld', { ours, other }, 1, 'unanswered-ack')
    expectEqual('connected', (await other.ask('connected', { peerId: ours.peerId })).connected, true)
  }
}
