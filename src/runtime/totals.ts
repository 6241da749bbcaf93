import { MAX_TOTALS_KEPT } from './limits.ts'

/** Messages to and from a peer and their bytes on the wire. */
export interface Counters {
  sent: number
  bytesSent: number
  received: number
  bytesReceived: number
}

/** The counters of peers that are gone, so that they go on where they were when the peer comes back. */
export class Totals {
  /** Who went first comes first. */
  readonly #gone = new Map<string, Counters>()

  /** The peer is gone. One that no message went to or came from takes no room. */
  keep(peerId: string, { sent, bytesSent, received, bytesReceived }: Counters): void {
    if (sent === 0 && received === 0) return
    this.#gone.set(peerId, { sent, bytesSent, received, bytesReceived })
    const [first] = this.#gone.keys()
    if (this.#gone.size > MAX_TOTALS_KEPT) this.#gone.delete(first!)
  }

  /** The peer is back: its counters belong to the caller. */
  take(peerId: string): Counters | undefined {
    const counters = this.#gone.get(peerId)
    this.#gone.delete(peerId)
    return counters
  }
}
