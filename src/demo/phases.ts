/** What an application acknowledgement weighs, in bytes. */
export const ACK_BYTES = 1_024

/** One phase of a program setup: each verifier sends `up` bytes to the operator, who sends `down` bytes to each. */
export interface Phase {
  name: string
  up: number
  down: number
}

/**
 * A BitVMX program setup in the sizes of a real one: the keys of a small program from each verifier, and of a large one
 * forwarded by the operator; then, for 400 signatures of four participants, a public nonce (66 bytes) and a partial
 * signature (32 bytes) each. Source of the last two sizes: BIP 327
 */
export const PHASES: readonly Phase[] = [
  { name: 'keys', up: 150_000, down: 620_000 },
  { name: 'public nonces', up: 400 * 66, down: 4 * 400 * 66 },
  { name: 'partial signatures', up: 400 * 32, down: 4 * 400 * 32 }
]

/** Messages of one phase for each verifier: up, its acknowledgement, down, its acknowledgement. */
export const MESSAGES_PER_VERIFIER = 4
