import { readFileSync } from 'node:fs'
import type { Stream } from '@libp2p/interface'
import { expect, it } from 'vitest'
import { PROTOCOL, sendAtPace, startBarePeer } from '../support/bare-peer.ts'
import { connect, startNode } from '../support/node-process.ts'
import type { NodeProcess, NodeScope } from '../support/node-process.ts'

const MIB = 1024 * 1024
/** The peers of these tests do nothing for less than this time, in milliseconds, even on a busy machine. */
const DEADLINE_MS = 60_000

it('a peer that does not read holds up nobody else and no more memory than its share; it gets all once it reads', async () => {
  const SENDER_BYTES = 16 * MIB
  const MESSAGE_BYTES = 1_024
  const streams: Stream[] = []
  const [alice, carol, bare] = await Promise.all([
    startNode({ limits: { senderBytes: SENDER_BYTES, ackTimeoutMs: DEADLINE_MS } }),
    startNode(),
    startBarePeer({
      onStream: stream => {
        stream.pause()
        streams.push(stream)
      }
    })
  ])
  await connect(alice, carol)
  await alice.dial(bare)
  await alice.event({ type: 'Connected', peerId: bare.peerId })
  const before = peakMemory(alice)

  // As much as the sender channel takes, and then on and on.
  const { ids, refusals } = await alice.run(
    ({ p2p }, { to, bytes, attempts }) => {
      const data = new Uint8Array(bytes)
      const told = { ids: [] as number[], refusals: [] as string[] }
      for (let i = 0; i < attempts; i++) {
        try {
          told.ids.push(p2p.sender.sendMsg(to, data))
        } catch (err) {
          const { code } = err as { code: string }
          if (!told.refusals.includes(code)) told.refusals.push(code)
        }
      }
      return told
    },
    { to: bare.peerId, bytes: MESSAGE_BYTES, attempts: 10 * (SENDER_BYTES / MESSAGE_BYTES) }
  )
  expect(ids).toHaveLength(SENDER_BYTES / MESSAGE_BYTES)
  expect(refusals).toEqual(['ERR_SENDER_FULL'])
  await expectTraffic(alice, carol)

  // What waits is held once in the runtime, and on its way there in shared memory.
  expect(peakMemory(alice) - before).toBeLessThan(4 * SENDER_BYTES)
  expect(await unacknowledged(alice, bare.peerId)).toBe(ids.length)

  // The peer reads again: every whole message is acknowledged.
  expect(streams).toHaveLength(1)
  const frameBytes = MESSAGE_BYTES + 2
  let bytes = 0
  streams[0]!.addEventListener('message', ({ data }) => {
    const whole = Math.floor((bytes + data.byteLength) / frameBytes) - Math.floor(bytes / frameBytes)
    bytes += data.byteLength
    if (whole > 0) streams[0]!.send(Buffer.from('\u0001\u0000'.repeat(whole)))
  })
  streams[0]!.resume()
  const settled = await alice.run(
    ({ event }, given) => given.filter(id => event({ type: 'Status', id }, 20_000)).length,
    ids
  )
  expect(settled).toBe(ids.length)
  expect(bytes).toBe(ids.length * frameBytes)
  expect(await unacknowledged(alice, bare.peerId)).toBe(0)
  expect(await alice.events()).toEqual([])
})

it('a peer that does not read its acks is not read either, until it reads them', async () => {
  /** Each an empty message, one byte on the wire; its ack has two. */
  const MESSAGES = 2 * MIB
  const [alice, carol, bare] = await Promise.all([
    startNode({ limits: { messageTimeoutMs: DEADLINE_MS } }),
    startNode(),
    startBarePeer()
  ])
  await connect(alice, carol)
  const connection = await bare.connect(alice)
  const stream = await connection.newStream(PROTOCOL)
  stream.pause()
  const before = peakMemory(alice)

  const sent = sendAtPace(stream, new Uint8Array(MESSAGES))
  const taken = await alice.run(readUntilQuiet, { peerId: bare.peerId, wanted: 1 })
  // The acks fill the peer's window and then our buffer; what it sends fills our window. The rest it still has.
  expect(taken.messages).toBeGreaterThan(0)
  expect(taken.messages).toBeLessThan(MESSAGES / 2)
  await expectTraffic(alice, carol)
  expect(peakMemory(alice) - before).toBeLessThan(100 * MIB)

  const acks = countAcks(stream, MESSAGES)
  stream.resume()
  const wanted = MESSAGES - taken.messages - taken.dropped
  const rest = await alice.run(readUntilQuiet, { peerId: bare.peerId, wanted })
  await sent
  expect(await acks).toEqual({
    accepted: taken.messages + rest.messages,
    refused: taken.dropped + rest.dropped
  })
  expect(taken.messages + taken.dropped + rest.messages + rest.dropped).toBe(MESSAGES)
  const { buckets } = await alice.run(({ p2p }) => p2p.runtime.inspect())
  expect(buckets).toEqual([])
})

/** Reads what a peer sends until as many messages as are wanted have come, and for a while nothing more. */
function readUntilQuiet(
  { p2p, log }: NodeScope,
  { peerId, wanted }: { peerId: string; wanted: number }
): { messages: number; dropped: number } {
  const books = { messages: 0, dropped: 0 }
  const end = performance.now() + 50_000
  for (;;) {
    const event = p2p.receiver.recv(500)
    if (event?.type === 'Data' && event.peerId === peerId) books.messages++
    else if (event !== undefined && event.type !== 'Connected') log.push(event)
    if (event !== undefined) continue
    for (const { messages } of p2p.priority.drain()) books.dropped += messages
    // On a busy machine nothing comes for a while though more is on its way.
    if (books.messages + books.dropped >= wanted || performance.now() > end) return books
  }
}

/** Both send and receive 1,000 messages. */
async function expectTraffic(alice: NodeProcess, carol: NodeProcess): Promise<void> {
  const COUNT = 1_000
  const outcomes = await Promise.all(
    [alice, carol].map(async (node, index) =>
      node.run(
        ({ p2p, event }, { to, count }) => {
          const ids = Array.from({ length: count }, () => p2p.sender.sendMsg(to, new Uint8Array(100)))
          for (const id of ids) event({ type: 'Status', peerId: to, id, ok: true })
          for (let i = 0; i < count; i++) event({ type: 'Data', peerId: to })
          return ids.length
        },
        { to: [carol, alice][index]!.peerId, count: COUNT }
      )
    )
  )
  expect(outcomes).toEqual([COUNT, COUNT])
}

/** Messages to a peer that are handed over and not answered. */
async function unacknowledged(node: NodeProcess, peerId: string): Promise<number | undefined> {
  const { peers } = await node.run(({ p2p }) => p2p.runtime.inspect())
  return peers.find(peer => peer.peerId === peerId)?.unacknowledged
}

async function countAcks(stream: Stream, total: number): Promise<{ accepted: number; refused: number }> {
  const books = { accepted: 0, refused: 0 }
  let odd = false
  return new Promise((resolve, reject) => {
    stream.addEventListener('message', ({ data }) => {
      for (const byte of data.subarray()) {
        if (odd) books[byte === 0 ? 'accepted' : 'refused']++
        odd = !odd
      }
      if (books.accepted + books.refused === total) resolve(books)
    })
    stream.addEventListener('close', () => reject(new Error('the stream was closed')))
  })
}

/** The most memory that the process has ever had resident, in bytes. */
function peakMemory({ pid }: NodeProcess): number {
  const [, kib] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))!
  return Number(kib) * 1_024
}
