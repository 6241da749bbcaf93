/** The records that travel in the shared queues, and the small codes they use. */
import type { StatusFailure } from '../outcomes.ts'

/** Records on the sender channel, application to runtime. */
export const CommandRecord = {
  /** From here on, `handle` means the peer named in the payload. */
  peer: 1,
  /** A message for `handle`; the payload is a whole wire frame. */
  send: 2,
  /** Any other command, as JSON. */
  command: 3
} as const

/** Records on the receiver channel, runtime to application. */
export const EventRecord = {
  /** From here on, `handle` means the peer named in the payload. */
  peer: 1,
  /** `a` messages from `handle`; the payload is that many wire frames. */
  data: 2,
  /** The `a` oldest unsettled messages to `handle` (the application's number) ended with outcome `b`. */
  status: 3,
  /** Any other event, as JSON. */
  control: 4
} as const

/** Records on the priority channel: slot `handle` of the dropped counters now speaks for the peer in the payload. */
export const PriorityRecord = { dropped: 1 } as const

/** The codes of outcomes in status records, beside 0 for ok: a failure that is missing here does not compile. */
const FAILURE_CODES: Record<StatusFailure, number> = {
  'not-connected': 1,
  'refused-full': 2,
  'refused-too-large': 3,
  'ack-timeout': 4,
  'connection-lost': 5,
  stopped: 6
}

/** The outcome of each code; `undefined` is ok. */
export const OUTCOMES: readonly (StatusFailure | undefined)[] = outcomesByCode()

function outcomesByCode(): Array<StatusFailure | undefined> {
  const outcomes: Array<StatusFailure | undefined> = [undefined]
  for (const [failure, code] of Object.entries(FAILURE_CODES)) outcomes[code] = failure as StatusFailure
  return outcomes
}

/** The code of an outcome; `undefined` is ok. */
export function outcomeCode(outcome: StatusFailure | undefined): number {
  return outcome === undefined ? 0 : FAILURE_CODES[outcome]
}

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** A text as record payload. */
export function encodeText(text: string): Uint8Array {
  return encoder.encode(text)
}

/** A text record's payload back as text. Shared memory cannot be decoded in place, so it is copied. */
export function decodeText(bytes: Uint8Array, begin: number, end: number): string {
  return decoder.decode(new Uint8Array(bytes.subarray(begin, end)))
}
