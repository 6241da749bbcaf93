import { describe, expect, it } from 'vitest'
import { Outbox } from '../../../src/protocol/index.ts'
import type { OutboxInit } from '../../../src/protocol/outbox.ts'
import { acks, concat, FakeClock, frame, message, TestStream, turn } from './support.ts'

const MIB = 1024 * 1024

/** An outbox whose one stream the test holds. */
async function outboxOn(
  stream: TestStream,
  backlog: OutboxInit['backlog'] = ({ writeBufferLength }) => writeBufferLength
): Promise<Outbox> {
  const outbox = new Outbox({
    limits: {
      ackTimeoutMs: 1_000,
      msPerByte: 0,
      maxDelayMs: 0,
      windowMessages: 1_000,
      windowBytes: 100 * MIB,
      writeTimeoutMs: 30_000
    },
    clock: new FakeClock(),
    backlog,
    whenHeard: () => () => {},
    mayWrite: () => true,
    open: async () => stream,
    settled: () => {},
    lastReceivedAt: () => 0,
    unanswered: () => {},
    endedEarly: () => {},
    malformed: () => {}
  })
  outbox.attach(stream)
  await turn()
  return outbox
}

/** Has the muxer below a stream take the bytes and keep them, as a saturated connection does. */
function hold(stream: TestStream): Uint8Array[] {
  const held: Uint8Array[] = []
  stream.sendData = data => {
    held.push(...data)
    return { sentBytes: data.byteLength, canSendMore: true }
  }
  return held
}

/** Sends messages to somebody else until memory that was given back has been used again for them. */
async function sendElsewhere(): Promise<void> {
  const outbox = await outboxOn(new TestStream())
  for (let i = 0; i < 20; i++) outbox.send(frame(new Uint8Array(MIB).fill(0xee)))
  for (let i = 0; i < 300; i++) outbox.send(frame(new Uint8Array(100).fill(0xee)))
}

describe('memory of messages', () => {
  it.each([100, 4_000, 300_000, 3 * MIB])(
    'a peer that acks %i bytes before they have left this side gets none of what is sent to others meanwhile',
    async size => {
      const stream = new TestStream()
      const held = hold(stream)
      const outbox = await outboxOn(stream, () => size)
      const frames = frame(message(0, size))
      outbox.send(frames)
      stream.receive(acks(0))
      expect(outbox.unsettled).toBe(0)
      await sendElsewhere()
      expect(Buffer.compare(concat(held), frames)).toBe(0)
    }
  )

  it('what a stream that was given up still holds is not overwritten either', async () => {
    const stream = new TestStream()
    const outbox = await outboxOn(stream)
    const first = frame(message(0, 1_000))
    const held = hold(stream)
    outbox.send(first)
    outbox.release()
    stream.receiveReset()
    await turn()
    outbox.disconnect()
    await sendElsewhere()
    expect(Buffer.compare(concat(held), first)).toBe(0)
  })

  it('is used again when all has left and is answered', async () => {
    const seen = new Set<ArrayBufferLike>()
    for (let i = 0; i < 50; i++) {
      const stream = new TestStream()
      const sendData = stream.sendData.bind(stream)
      stream.sendData = data => {
        for (const part of data) seen.add(part.buffer)
        return sendData(data)
      }
      const outbox = await outboxOn(stream)
      for (const size of [50, 1_000_000]) {
        outbox.send(frame(message(i, size)))
        stream.receive(acks(0))
      }
      expect(outbox.unsettled).toBe(0)
    }
    // One small slab, and large ones for a message of 1 MB.
    expect(seen.size).toBeLessThanOrEqual(1 + 8 + 64)
    expect(seen.size).toBeLessThan(50)
  })
})
