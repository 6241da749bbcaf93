import { createHash, randomBytes } from 'node:crypto'
import { ACK_BYTES, PHASES } from './phases.ts'

const KIND_PAYLOAD = 1
const KIND_ACK = 2
/** Kind, phase, and a SHA-256. */
const DIGEST_AT = 2
const BODY_AT = DIGEST_AT + 32

/** What the participants of the setup say to each other. */
export interface Envelope {
  kind: 'payload' | 'ack'
  /** Index in `PHASES`. */
  phase: number
  /** SHA-256 of the payload, or of the payload that is acknowledged. */
  digest: Buffer
}

/** A payload of random bytes, `size` bytes in all. */
export function sealPayload(phase: number, size: number): Buffer {
  const body = randomBytes(size - BODY_AT)
  return Buffer.concat([Buffer.of(KIND_PAYLOAD, phase), sha256(body), body])
}

/** The application's acknowledgement of a payload; it, too, is padded with random bytes. */
export function sealAck({ phase, digest }: Envelope): Buffer {
  return Buffer.concat([Buffer.of(KIND_ACK, phase), digest, randomBytes(ACK_BYTES - BODY_AT)])
}

/** Reads a message. @throws Error when it is not one of these, or its payload is not what its SHA-256 says */
export function open(data: Uint8Array): Envelope {
  const [kind, phase] = data
  if (data.length < BODY_AT || (kind !== KIND_PAYLOAD && kind !== KIND_ACK) || PHASES[phase!] === undefined) {
    throw new Error(`a message of ${data.length} bytes is none of this setup`)
  }
  const digest = Buffer.from(data.subarray(DIGEST_AT, BODY_AT))
  if (kind === KIND_PAYLOAD && !sha256(data.subarray(BODY_AT)).equals(digest)) {
    throw new Error(`the SHA-256 of a message of ${data.length} bytes is wrong`)
  }
  return { kind: kind === KIND_ACK ? 'ack' : 'payload', phase: phase!, digest }
}

function sha256(data: Uint8Array): Buffer {
  return createHash('sha256').update(data).digest()
}
