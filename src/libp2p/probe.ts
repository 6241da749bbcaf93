import type { Connection } from '@libp2p/interface'
import type { Clock } from '../clock.ts'

/** The parts of the yamux muxer that are used here. */
interface PingingMuxer {
  nextPingID: number
  /** The round trip in milliseconds, by which windows grow; −1 while it is not known. */
  rtt: number
  sendPing: (id: number) => void
  handlePingResponse: (id: number) => void
}

/**
 * Asks a peer for a sign of life by the ping that every yamux answers (yamux specification, "Ping"): it needs no stream,
 * and no protocol of the peer. Upstream sends no other while one is unanswered; go-yamux leaves some unanswered when
 * many come, and would then never be asked again. So any number may be out here, and each may be answered once.
 */
export class Probe {
  readonly #muxer: PingingMuxer | undefined
  readonly #clock: Clock
  #unanswered = 0
  #last = { id: -1, at: 0 }

  constructor(connection: Connection, clock: Clock) {
    this.#clock = clock
    const { muxer } = connection as unknown as { muxer?: PingingMuxer }
    this.#muxer = muxer
    if (muxer !== undefined) muxer.handlePingResponse = id => this.#answered(muxer, id)
  }

  /** Sends a ping. */
  send(): void {
    if (this.#muxer === undefined) return
    this.#unanswered++
    this.#last = { id: this.#muxer.nextPingID++, at: this.#clock.now() }
    this.#muxer.sendPing(this.#last.id)
  }

  #answered(muxer: PingingMuxer, id: number): void {
    if (this.#unanswered === 0 || id > this.#last.id) throw new Error('an answer to a ping that was not sent')
    this.#unanswered--
    if (id === this.#last.id) muxer.rtt = Math.ceil(this.#clock.now() - this.#last.at)
  }
}
