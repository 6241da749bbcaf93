import type { Limits } from 'bitvmx-p2p'
import { expect, it } from 'vitest'
import { connect, startNode } from '../support/node-process.ts'
import type { NodeScope } from '../support/node-process.ts'

/** Longest a whole exchange may take, in milliseconds. */
const DEADLINE_MS = 45_000

interface Case {
  what: string
  count: number
  /** Message `i` has `i % sizes` bytes. */
  sizes: number
  limits: Partial<Limits>
  /** The application reads so many events at a time. */
  burst: number
}

const CASES: Case[] = [
  {
    what: '100,000 messages into room for 1,000',
    count: 100_000,
    sizes: 50,
    limits: { receiverMessages: 1_000 },
    burst: 700
  },
  {
    what: '30,000 messages into 20,000 bytes of room',
    count: 30_000,
    sizes: 2_000,
    limits: { receiverBytes: 20_000, maxMessageBytes: 10_000 },
    burst: 10
  }
]

it.each(CASES)('$what: the books of both sides agree to the message', async example => {
  const { count, sizes, limits, burst } = example
  const [alice, bob] = await Promise.all([startNode(), startNode({ limits })])
  await connect(alice, bob)

  const [told, read] = await Promise.all([
    alice.run(sendAll, { to: bob.peerId, count, sizes, deadlineMs: DEADLINE_MS }, DEADLINE_MS),
    bob.run(readInBursts, { count, burst, deadlineMs: DEADLINE_MS }, DEADLINE_MS)
  ])

  expect(told.settled).toBe(count)
  expect(told.idsInOrder).toBe(true)
  expect(told.accepted + told.refused).toBe(count)
  expect(told.unexpected).toEqual([])
  // Both outcomes did occur, else this shows nothing.
  expect(told.accepted).toBeGreaterThan(count / 1_000)
  expect(told.refused).toBeGreaterThan(count / 1_000)

  expect(read.data).toBe(told.accepted)
  expect(read.dataBytes).toBe(told.acceptedBytes)
  expect(read.dataHash).toBe(told.acceptedHash)
  expect(read.dropped).toBe(told.refused)
  expect(read.droppedBytes).toBe(told.refusedBytes)
  expect(read.fullest.messages).toBeLessThanOrEqual(limits.receiverMessages ?? Infinity)
  expect(read.fullest.bytes).toBeLessThanOrEqual(limits.receiverBytes ?? Infinity)
  expect(read.left).toEqual({ messages: 0, bytes: 0, dropped: told.refused })
})

/** Sends numbered messages as fast as the sender channel takes them, and keeps the books by their Status. */
function sendAll(
  { p2p, payload, createHash }: NodeScope,
  { to, count, sizes, deadlineMs }: { to: string; count: number; sizes: number; deadlineMs: number }
): {
  settled: number
  idsInOrder: boolean
  accepted: number
  acceptedBytes: number
  /** Over the messages that were accepted, in the order of their Status. */
  acceptedHash: string
  refused: number
  refusedBytes: number
  unexpected: object[]
} {
  const end = Date.now() + deadlineMs
  const acceptedHash = createHash('sha256')
  const ids: number[] = []
  const books = { settled: 0, accepted: 0, acceptedBytes: 0, refused: 0, refusedBytes: 0 }
  const unexpected: object[] = []
  let idsInOrder = true
  while (books.settled < count) {
    if (ids.length < count && ids.length - books.settled < 20_000) {
      ids.push(p2p.sender.sendMsg(to, payload(ids.length % sizes, ids.length)))
    }
    const full = ids.length === count || ids.length - books.settled >= 20_000
    const event = full ? p2p.receiver.recv(10_000) : p2p.receiver.tryRecv()
    if (event === undefined) {
      if (Date.now() > end) throw new Error(`only ${books.settled} messages are settled`)
      continue
    }
    if (event.type !== 'Status' || (!event.ok && event.reason !== 'refused-full')) {
      unexpected.push(event)
      if (event.type !== 'Status') continue
    }
    idsInOrder &&= event.id === ids[books.settled]
    const size = books.settled % sizes
    if (event.ok) {
      books.accepted++
      books.acceptedBytes += size
      acceptedHash.update(payload(size, books.settled))
    } else {
      books.refused++
      books.refusedBytes += size
    }
    books.settled++
  }
  return { ...books, idsInOrder, acceptedHash: acceptedHash.digest('hex'), unexpected }
}

/** Reads some events, then does something else for a while, until every message has been read or counted as dropped. */
function readInBursts(
  { p2p, createHash }: NodeScope,
  { count, burst, deadlineMs }: { count: number; burst: number; deadlineMs: number }
): {
  data: number
  dataBytes: number
  dataHash: string
  dropped: number
  droppedBytes: number
  /** The most that a look into the runtime ever found in the receiver channel. */
  fullest: { messages: number; bytes: number }
  left: { messages: number; bytes: number; dropped: number }
} {
  const end = Date.now() + deadlineMs
  const dataHash = createHash('sha256')
  const books = { data: 0, dataBytes: 0, dropped: 0, droppedBytes: 0 }
  const fullest = { messages: 0, bytes: 0 }
  while (books.data + books.dropped < count) {
    const { receiver } = p2p.runtime.inspect()
    fullest.messages = Math.max(fullest.messages, receiver.messages)
    fullest.bytes = Math.max(fullest.bytes, receiver.bytes)
    for (const event of p2p.receiver.drain(burst)) {
      if (event.type !== 'Data') throw new Error(`an unexpected ${JSON.stringify(event)}`)
      dataHash.update(event.data)
      books.data++
      books.dataBytes += event.data.length
    }
    for (const { messages, bytes } of p2p.priority.drain()) {
      books.dropped += messages
      books.droppedBytes += bytes
    }
    // Something else to do, until there is no room any more; but not for ever, the last messages may all fit.
    const begin = performance.now()
    const busyMs = (): number => performance.now() - begin
    while (busyMs() < 2 || (p2p.priority.length === 0 && busyMs() < 20)) Math.random()
    if (Date.now() > end) throw new Error(`read ${books.data}, dropped ${books.dropped} of ${count}`)
  }
  return {
    ...books,
    dataHash: dataHash.digest('hex'),
    fullest,
    left: p2p.runtime.inspect().receiver
  }
}
