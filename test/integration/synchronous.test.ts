import { expect, it } from 'vitest'
import { connect, LONG, startNode } from '../support/node-process.ts'
import type { NodeProcess, NodeScope } from '../support/node-process.ts'

/** How long an application computes without a look at its channels, in milliseconds: once past the ack timeout. */
const BUSY_MS = LONG ? 30_000 : 5_000
/** An ack is on time when it comes this fast although the remote application does nothing, in milliseconds. */
const PROMPT_MS = 2_000
/** Nobody sends in the last moments of that: even a last ack that is just on time comes before its end. */
const SENDING_MS = BUSY_MS - PROMPT_MS

it('two applications that never yield to their event loops exchange 10,000 messages each way', async () => {
  const [alice, bob] = await Promise.all([startNode(), startNode()])
  await connect(alice, bob)

  const COUNT = 10_000
  const [atAlice, atBob] = await Promise.all([
    alice.run(chat, { to: bob.peerId, count: COUNT, blocking: true, seed: 1 }),
    bob.run(chat, { to: alice.peerId, count: COUNT, blocking: false, seed: 2 })
  ])

  expect(atAlice.accepted).toBe(COUNT)
  expect(atBob.accepted).toBe(COUNT)
  expect(atAlice.outOfOrder + atBob.outOfOrder).toBe(0)
  expect(atAlice.received).toBe(COUNT)
  expect(atBob.received).toBe(COUNT)
  expect(atAlice.receivedHash).toBe(atBob.sentHash)
  expect(atBob.receivedHash).toBe(atAlice.sentHash)
})

/** Sends and receives `count` messages in one go; the hashes run over all of them, in their order. */
function chat(
  { p2p, payload, createHash }: NodeScope,
  { to, count, blocking, seed }: { to: string; count: number; blocking: boolean; seed: number }
): {
  accepted: number
  received: number
  outOfOrder: number
  sentHash: string
  receivedHash: string
} {
  const deadline = Date.now() + 20_000
  const sentHash = createHash('sha256')
  const receivedHash = createHash('sha256')
  let sent = 0
  let accepted = 0
  let received = 0
  let lastId = 0
  let outOfOrder = 0
  while (accepted < count || received < count) {
    if (sent < count) {
      const data = payload(sent % 300, seed * count + sent)
      p2p.sender.sendMsg(to, data)
      sentHash.update(data)
      sent++
    }
    const event = blocking && sent === count ? p2p.receiver.recv(5_000) : p2p.receiver.tryRecv()
    if (event?.type === 'Data') {
      receivedHash.update(event.data)
      received++
    } else if (event?.type === 'Status') {
      if (!event.ok) throw new Error(`message ${event.id} ended with ${event.reason}`)
      if (event.id <= lastId) outOfOrder++
      lastId = event.id
      accepted++
    } else if (event !== undefined) throw new Error(`an unexpected ${JSON.stringify(event)}`)
    if (Date.now() > deadline)
      throw new Error(`sent ${sent}, accepted ${accepted}, received ${received}: too slow`)
  }
  return {
    accepted,
    received,
    outOfOrder,
    sentHash: sentHash.digest('hex'),
    receivedHash: receivedHash.digest('hex')
  }
}

it(`an application that computes for ${BUSY_MS} ms is acknowledged for on time until its buffer is full`, async () => {
  const ROOM = 200
  const [alice, carol, bob] = await Promise.all([
    startNode(),
    startNode(),
    startNode({ limits: { receiverMessages: ROOM } })
  ])
  await connect(alice, bob)
  await connect(carol, bob)

  const begin = Date.now()
  const until = begin + SENDING_MS
  const [bobBusyUntil, ...reports] = await Promise.all([
    bob.run(
      (_, end) => {
        while (Date.now() < end) Math.random()
        return Date.now()
      },
      begin + BUSY_MS,
      BUSY_MS + 30_000
    ),
    alice.run(sendInLockStep, { to: bob.peerId, until }, BUSY_MS + 30_000),
    carol.run(sendInLockStep, { to: bob.peerId, until }, BUSY_MS + 30_000)
  ])

  for (const report of reports) {
    expect(report.endedAt).toBeLessThan(bobBusyUntil)
    expect(report.slowestMs).toBeLessThan(PROMPT_MS)
    expect(report.refused.length).toBeGreaterThan(0)
    expect(report.others).toEqual([])
  }
  const [atAlice, atCarol] = reports
  expect(atAlice.accepted.length + atCarol.accepted.length).toBe(ROOM)

  // What was acknowledged is there, in order; what was refused is counted, once for each peer.
  const { data, dropped, left } = await bob.run(({ p2p }) => ({
    data: p2p.receiver.drain(),
    dropped: p2p.priority.drain(),
    left: p2p.priority.length
  }))
  const from = (peer: NodeProcess): number[] =>
    data.flatMap(event => (event.type === 'Data' && event.peerId === peer.peerId ? [number(event.data)] : []))
  expect(data.length).toBe(ROOM)
  expect(from(alice)).toEqual(atAlice.accepted)
  expect(from(carol)).toEqual(atCarol.accepted)
  expect(dropped).toHaveLength(2)
  expect(dropped).toContainEqual(droppedFrom(alice, atAlice))
  expect(dropped).toContainEqual(droppedFrom(carol, atCarol))
  expect(left).toBe(0)

  // There is room again.
  for (const peer of [alice, carol]) {
    const id = await peer.sendMsg(bob, Buffer.from('again'))
    expect(await peer.event({ type: 'Status', id })).toMatchObject({ ok: true })
    await bob.event({ type: 'Data', peerId: peer.peerId })
  }
})

function droppedFrom({ peerId }: NodeProcess, { refused }: { refused: number[] }): object {
  return { type: 'Dropped', peerId, messages: refused.length, bytes: refused.length * 4 }
}

/** Sends numbered messages until the time is over, each after the Status of the one before. */
function sendInLockStep(
  { p2p }: NodeScope,
  { to, until }: { to: string; until: number }
): { accepted: number[]; refused: number[]; others: object[]; slowestMs: number; endedAt: number } {
  const accepted: number[] = []
  const refused: number[] = []
  const others: object[] = []
  let slowestMs = 0
  for (let serial = 0; Date.now() < until; serial++) {
    const data = new Uint8Array(4)
    new DataView(data.buffer).setUint32(0, serial)
    const begin = performance.now()
    const id = p2p.sender.sendMsg(to, data)
    for (;;) {
      const event = p2p.receiver.recv(15_000)
      if (event === undefined) throw new Error(`message ${serial} has no Status`)
      if (event.type === 'Status' && event.id === id) {
        if (event.ok) accepted.push(serial)
        else if (event.reason === 'refused-full') refused.push(serial)
        else others.push(event)
        break
      }
      others.push(event)
    }
    slowestMs = Math.max(slowestMs, performance.now() - begin)
  }
  return { accepted, refused, others, slowestMs, endedAt: Date.now() }
}

function number(data: Uint8Array): number {
  return new DataView(data.buffer, data.byteOffset).getUint32(0)
}
