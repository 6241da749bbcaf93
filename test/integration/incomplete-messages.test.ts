import { expect, test } from 'vitest'
import { PROTOCOL, readToEnd, sendAtPace, startBarePeer } from '../support/bare-peer.ts'
import { frame } from '../support/frames.ts'
import { startLocal } from '../support/local-node.ts'

const MIB = 2 ** 20

test('nine messages of 8 MiB at once, completed one after the other, are all taken', async () => {
  const alice = await startLocal()
  const bare = await startBarePeer()
  const connection = await bare.connect(alice)
  const bytes = frame(Buffer.alloc(8 * MIB, 7))
  const streams = await Promise.all(Array.from({ length: 9 }, async () => connection.newStream(PROTOCOL)))
  const answers = streams.map(async stream => readToEnd(stream))
  const [last, ...others] = streams.toReversed()
  await Promise.all(others.map(async stream => sendAtPace(stream, bytes.subarray(0, -1))))
  // There is no room for more of this one than the window that its stream begins with.
  last!.send(bytes.subarray(0, -1))
  const small = await connection.newStream(PROTOCOL)
  small.send(frame(Buffer.from('behind it on the same connection')))
  void small.close()
  expect([...(await readToEnd(small))]).toEqual([1, 0])
  await alice.event({ type: 'Data', peerId: bare.peerId })
  for (const [i, stream] of streams.entries()) {
    stream.send(bytes.subarray(-1))
    void stream.close()
    expect([...(await answers[i]!)]).toEqual([1, 0])
    await alice.event({ type: 'Data', peerId: bare.peerId })
    alice.forget()
  }
  expect(alice.p2p.priority.length).toBe(0)
  const { buckets, receiver } = await alice.p2p.runtime.inspectAsync()
  expect(buckets).toEqual([])
  expect(receiver.dropped).toBe(0)
})
