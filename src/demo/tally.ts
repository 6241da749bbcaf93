import { styleText } from 'node:util'
import { bytes, digits, inColumns } from './format.ts'
import type { Screen } from './screen.ts'

/** What a participant has sent and received so far. */
export interface Tally {
  sent: number
  received: number
  bytesSent: number
  bytesReceived: number
  /** Status events with `ok` */
  acks: number
  /** From `sendMsg` to its Status, in milliseconds: minimum, median, 99th percentile, maximum; empty when nothing was sent. */
  roundTripMs: number[]
  dialMs: number | undefined
}

const NONE = '–'
const TITLES = ['', 'sent', 'received', 'sent', 'received', 'acks', 'min', 'median', 'p99', 'max', 'dial']

/** What each participant has sent and received, as a table. */
export function printTallies(screen: Screen, participants: Array<{ name: string; tally: Tally }>): void {
  const rows = participants.map(({ name, tally }) => [
    name,
    String(tally.sent),
    String(tally.received),
    bytes(tally.bytesSent),
    bytes(tally.bytesReceived),
    String(tally.acks),
    ...[0, 1, 2, 3].map(i => tally.roundTripMs[i]).map(ms => (ms === undefined ? NONE : digits(ms))),
    tally.dialMs === undefined ? NONE : digits(tally.dialMs)
  ])
  const [titles, ...lines] = inColumns([TITLES, ...rows])
  screen.heading('Summary: messages, bytes, and milliseconds from sendMsg to Status')
  screen.line(styleText('dim', titles!))
  for (const line of lines) screen.line(line)
}
