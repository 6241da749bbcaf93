import { beforeAll, expect, it } from 'vitest'
import { connect, startNode } from '../support/node-process.ts'
import type { NodeProcess, NodeScope } from '../support/node-process.ts'

const MIB = 1024 * 1024
const SIZES = [0, 1, 100, 1_024, 150 * 1_024, 620 * 1_024, MIB, 8 * MIB]
/** Bob takes every size, Carol this much. */
const CAROLS_LIMIT = 1_000

let alice: NodeProcess
let bob: NodeProcess
let carol: NodeProcess

beforeAll(async () => {
  ;[alice, bob, carol] = await Promise.all([
    startNode(),
    startNode(),
    startNode({ limits: { maxMessageBytes: CAROLS_LIMIT } })
  ])
  await connect(alice, bob)
  await connect(alice, carol)
})

it('messages of every size arrive whole in both directions at once', async () => {
  const [atAlice, atBob] = await Promise.all([
    alice.run(exchange, { to: bob.peerId, sizes: SIZES, seed: 1 }),
    bob.run(exchange, { to: alice.peerId, sizes: SIZES, seed: 100 })
  ])

  expect(atBob.received).toEqual(atAlice.sent)
  expect(atAlice.received).toEqual(atBob.sent)
  const accepted = SIZES.map(() => 'accepted')
  expect([atAlice.outcomes, atBob.outcomes]).toEqual([accepted, accepted])
  expect(atAlice.sent.map(({ size }) => size)).toEqual(SIZES)
})

it('a burst of large messages arrives whole and in order', async () => {
  const COUNT = 300
  // As fast as the sender channel takes them: its memory is used again the moment it has been read.
  const sending = alice.run(
    ({ p2p, payload, sha256, event }, { to, count }) => {
      const messages = [620, 150, 400, 500, 610, 160, 300].map((kib, i) => payload(kib * 1_024, i))
      const hashes = messages.map(sha256)
      const sent: string[] = []
      const ids: number[] = []
      while (sent.length < count) {
        const next = sent.length % messages.length
        try {
          ids.push(p2p.sender.sendMsg(to, messages[next]!))
          sent.push(hashes[next]!)
        } catch {
          event({ type: 'Status', id: ids.shift(), ok: true })
        }
      }
      for (const id of ids) event({ type: 'Status', id, ok: true })
      return sent
    },
    { to: bob.peerId, count: COUNT }
  )
  const receiving = bob.run(
    ({ event, sha256 }, count) =>
      Array.from({ length: count }, () => {
        const message = event({ type: 'Data' })
        return message.type === 'Data' ? sha256(message.data) : ''
      }),
    COUNT
  )
  expect(await receiving).toEqual(await sending)
})

interface Summary {
  size: number
  hash: string
}

/** Sends one message of each size and reads as many. */
function exchange(
  { p2p, payload, sha256 }: NodeScope,
  { to, sizes, seed }: { to: string; sizes: number[]; seed: number }
): { sent: Summary[]; received: Summary[]; outcomes: string[] } {
  const received: Summary[] = []
  const outcomes: string[] = []
  const sent = sizes.map((size, i) => {
    const data = payload(size, seed + i)
    p2p.sender.sendMsg(to, data)
    const hash = sha256(data)
    // The caller may reuse its buffer after the call.
    data.fill(0)
    return { size, hash }
  })
  while (received.length < sizes.length || outcomes.length < sizes.length) {
    const event = p2p.receiver.recv(15_000)
    if (event?.type === 'Data') received.push({ size: event.data.length, hash: sha256(event.data) })
    else if (event?.type === 'Status') outcomes.push(event.reason ?? 'accepted')
    else throw new Error(`${received.length} messages, ${outcomes.length} outcomes, then ${event?.type}`)
  }
  return { sent, received, outcomes }
}

it('a message one byte above the limit is refused by the call that sends it, and costs nothing else', async () => {
  const tooLarge = new Uint8Array(8 * MIB + 1)
  await expect(alice.sendMsg(bob, tooLarge)).rejects.toMatchObject({ code: 'ERR_MESSAGE_TOO_LARGE' })
  const id = await alice.sendMsg(bob, Buffer.from('next'))
  await alice.event({ type: 'Status', id, ok: true })
  expect(Buffer.from((await bob.event({ type: 'Data' })).data).toString()).toBe('next')
  expect(await alice.events()).toEqual([])
})

it('messages above the limit of the remote end in refused-too-large, and those around them are neither lost nor doubled', async () => {
  const COUNT = 3_000

  // Without a pause in between: some just above the limit, some two in a row, some as large as they can be.
  const outcomes = await alice.run(
    ({ p2p, event }, { to, count, limit }) => {
      const sizeOf = (i: number): number => {
        if (i % 1_000 === 500) return 8 * 1024 * 1024
        if (i % 100 === 50 || i % 100 === 51) return limit + 1
        return 4 + (i % (limit - 3))
      }
      const ids = Array.from({ length: count }, (_, i) => {
        const data = new Uint8Array(sizeOf(i))
        new DataView(data.buffer).setUint32(0, i)
        return p2p.sender.sendMsg(to, data)
      })
      return ids.map((id, i) => {
        const status = event({ type: 'Status' }, 20_000)
        if (status.type !== 'Status' || status.id !== id) throw new Error(`message ${i} has no Status`)
        const wanted = sizeOf(i) > limit ? 'refused-too-large' : undefined
        return status.reason === wanted ? 'as wanted' : `message ${i}: ${status.reason}`
      })
    },
    { to: carol.peerId, count: COUNT, limit: CAROLS_LIMIT }
  )
  expect(outcomes.filter(outcome => outcome !== 'as wanted')).toEqual([])

  const fitting = Array.from({ length: COUNT }, (_, i) => i).filter(
    i => i % 1_000 !== 500 && i % 100 !== 50 && i % 100 !== 51
  )
  const arrived = await carol.events()
  expect(
    arrived.map(event =>
      event.type === 'Data'
        ? new DataView(event.data.buffer, event.data.byteOffset).getUint32(0)
        : JSON.stringify(event)
    )
  ).toEqual(fitting)
  // Nobody has misbehaved: the connection is the same, and no token was charged.
  expect(await alice.events()).toEqual([])
  const { buckets, peers } = await carol.run(({ p2p }) => p2p.runtime.inspect())
  expect(buckets).toEqual([])
  expect(peers).toHaveLength(1)
})

it('messages larger than both buffers arrive, one at a time', async () => {
  const [dave, erin] = await Promise.all([
    startNode({ limits: { senderBytes: 1 } }),
    startNode({ limits: { receiverBytes: 1 } })
  ])
  await connect(dave, erin)
  for (const size of [8 * MIB, 150_000, 2]) {
    const id = await dave.sendMsg(erin, new Uint8Array(size))
    await expect(dave.sendMsg(erin, new Uint8Array(2))).rejects.toMatchObject({ code: 'ERR_SENDER_FULL' })
    await dave.event({ type: 'Status', id, ok: true })
    const unread = await dave.sendMsg(erin, new Uint8Array(1))
    await dave.event({ type: 'Status', id: unread, reason: 'refused-full' })
    expect((await erin.event({ type: 'Data' })).data).toHaveLength(size)
  }
})
