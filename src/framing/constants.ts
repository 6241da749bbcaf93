import { encode } from 'it-length-prefixed'
import { MAX_ACKS_PER_VIEW } from './limits.ts'

/** The libp2p protocol ID of this wire protocol (docs/protocol.md, "Protocol ID"). */
export const PROTOCOL_ID = '/bitvmx/comms/1.0.0'

/** First byte of an ack: what became of the message (docs/protocol.md, "Acks"). */
export const AckStatus = { accepted: 0, refusedFull: 1, refusedTooLarge: 2 } as const
export type AckStatus = (typeof AckStatus)[keyof typeof AckStatus]

/** One repeated ack frame per status, built once: a batch of acks is a view of it, whatever its length. */
const ACK_TABLES = Object.values(AckStatus).map(status => {
  const frame = encode.single(Uint8Array.of(status)).subarray()
  const table = new Uint8Array(frame.length * MAX_ACKS_PER_VIEW)
  for (let i = 0; i < MAX_ACKS_PER_VIEW; i++) table.set(frame, i * frame.length)
  return table
})

/** The bytes of `count` equal acks, 1 to `MAX_ACKS_PER_VIEW`: a view of shared memory, to send and not to change. */
export function ackFrames(status: AckStatus, count: number): Uint8Array {
  const table = ACK_TABLES[status]!
  return table.subarray(0, (table.length / MAX_ACKS_PER_VIEW) * count)
}
