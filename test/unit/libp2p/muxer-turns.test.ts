import type { MessageStream, StreamMuxer } from '@libp2p/interface'
import { Uint8ArrayList } from 'uint8arraylist'
import { expect, test } from 'vitest'
import { FairShare } from '../../../src/libp2p/fair-share.ts'
import { readInTurns } from '../../../src/libp2p/muxer-turns.ts'
import type { PausableConnection } from '../../../src/libp2p/muxer-turns.ts'
import { FakeClock } from '../protocol/support.ts'

/** Data frames of one byte each, in memory of their own. */
function frames(bytes: number[]): Uint8Array {
  return Uint8Array.from(bytes.flatMap(byte => [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, byte]))
}

/** Reads what comes, and frees the memory that it has read to its end, as the last reader of a record does. */
function freeingMuxer(): {
  muxer: StreamMuxer & { onData: (data: Uint8Array | Uint8ArrayList) => void }
  got: number[]
} {
  const got: number[] = []
  const onData = (data: Uint8Array | Uint8ArrayList): void => {
    for (const part of data instanceof Uint8Array ? [data] : data) {
      got.push(...part)
      const { buffer, byteOffset, length } = part
      if (byteOffset + length === buffer.byteLength)
        structuredClone(buffer, { transfer: [buffer as ArrayBuffer] })
    }
  }
  return { muxer: { status: 'open', onData } as never, got }
}

test('what follows a batch is there, though the memory of the batch has been freed by its reader', () => {
  const { muxer, got } = freeingMuxer()
  const connection = { addEventListener: () => {} } as unknown as MessageStream
  readInTurns(muxer, connection, {
    maxDataBytes: 1,
    fairShare: new FairShare(new FakeClock(), () => {}),
    below: () => ({ readStatus: 'readable' }) as PausableConnection
  })
  const numbers = Array.from({ length: 200 }, (_, i) => i)
  // More than one batch; the first piece is read to its end in the first.
  const pieces = [frames(numbers.slice(0, 10)), frames(numbers.slice(10, 100)), frames(numbers.slice(100))]
  const whole = pieces.flatMap(piece => [...piece])
  muxer.onData(new Uint8ArrayList(...pieces))
  expect(got).toEqual(whole)
})
