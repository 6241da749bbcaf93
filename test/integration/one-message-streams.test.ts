import { createHash } from 'node:crypto'
import { expect, it } from 'vitest'
import { PROTOCOL, readToEnd, startBarePeer } from '../support/bare-peer.ts'
import { frame } from '../support/frames.ts'
import { startNode } from '../support/node-process.ts'

const STREAMS = 128

it(`${STREAMS} streams at once with one message each are answered, each with its own ack, twice over`, async () => {
  const [alice, bare] = await Promise.all([startNode(), startBarePeer()])
  const connection = await bare.connect(alice)

  for (const wave of [0, 1]) {
    // Sizes around the lengths of prefixes, and some of several muxer frames.
    const messages = Array.from({ length: STREAMS }, (_, i) =>
      Buffer.alloc([i, 126 + i, 16_300 + i, 100_000][i % 4]!, `${wave}:${i};`)
    )
    const streams = await Promise.all(messages.map(async () => connection.newStream(PROTOCOL)))
    const acks = await Promise.all(
      streams.map(async (stream, i) => {
        const answer = readToEnd(stream)
        stream.send(frame(messages[i]!))
        await stream.close()
        return [...(await answer)]
      })
    )
    expect(acks).toEqual(streams.map(() => [1, 0]))

    const events = await alice.events()
    const received = events.flatMap(event => (event.type === 'Data' ? [digest(event.data)] : []))
    expect(received.sort()).toEqual(messages.map(digest).sort())
    expect(events.filter(({ type }) => type !== 'Data' && type !== 'Connected')).toEqual([])
  }

  const { buckets, peers } = await alice.run(({ p2p }) => p2p.runtime.inspect())
  expect(buckets).toEqual([])
  expect(peers).toMatchObject([{ peerId: bare.peerId, received: 2 * STREAMS }])
})

it('one-message streams into a full receiver are refused, each on its own stream', async () => {
  const ROOM = 100
  const [alice, bare] = await Promise.all([
    startNode({ limits: { receiverMessages: ROOM } }),
    startBarePeer()
  ])
  const connection = await bare.connect(alice)
  const acks = await Promise.all(
    Array.from({ length: STREAMS }, async () => {
      const stream = await connection.newStream(PROTOCOL)
      const answer = readToEnd(stream)
      stream.send(frame(Buffer.from('hello')))
      await stream.close()
      return (await answer).toString()
    })
  )

  expect(acks.filter(ack => ack === '\u0001\u0000')).toHaveLength(ROOM)
  expect(acks.filter(ack => ack === '\u0001\u0001')).toHaveLength(STREAMS - ROOM)
  const dropped = await alice.run(({ p2p }) => p2p.priority.drain())
  expect(dropped).toEqual([
    { type: 'Dropped', peerId: bare.peerId, messages: STREAMS - ROOM, bytes: 5 * (STREAMS - ROOM) }
  ])
})

function digest(data: Uint8Array): string {
  return `${data.length}:${createHash('sha256').update(data).digest('hex')}`
}
