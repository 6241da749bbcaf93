import type { Stream } from '@libp2p/interface'
import type { Clock } from '../clock.ts'
import { P2pError } from '../errors.ts'
import { unsentBytes } from '../node/index.ts'
import type { Link } from '../node/index.ts'
import { Outbox } from '../protocol/index.ts'
import type { Outcome, OutboxLimits } from '../protocol/index.ts'

/** How long a connection that has become superfluous must have had no message stream before it is closed, in milliseconds. */
const RETIRE_AFTER_MS = 1_000

export interface PeerInit {
  peerId: string
  /** Own peer ID: with the peer's it decides which of two connections is kept. */
  self: string
  /** The peer's number on the receiver channel. */
  subject: number
  clock: Clock
  outbox: OutboxLimits
  /** Opening a message stream may take so long, in milliseconds. */
  openTimeoutMs: number
  settled: (peer: Peer, outcome: Outcome, count: number) => void
  unanswered: (peer: Peer, evidence: string) => void
  malformed: (peer: Peer, reason: string) => void
}

/** Everything the runtime holds for one peer: his connections, dials to him, and the messages on their way to him. */
export class Peer {
  readonly peerId: string
  readonly subject: number
  readonly outbox: Outbox
  readonly #init: PeerInit
  /** Connections, oldest first. */
  readonly links: Link[] = []
  /** Dials under way or waiting their turn. */
  dials = 0
  /** The application has been told Connected, and not yet Disconnected. */
  announced = false
  /** The peer's number on the sender channel. */
  book = 0
  sent = 0
  bytesSent = 0
  received = 0
  bytesReceived = 0
  readonly #retiring = new Set<Link>()
  #waiting: Array<{ resolve: (link: Link) => void; reject: (err: Error) => void }> = []

  constructor(init: PeerInit) {
    this.#init = init
    this.peerId = init.peerId
    this.subject = init.subject
    this.outbox = new Outbox({
      limits: init.outbox,
      clock: init.clock,
      unsent: unsentBytes,
      heardAt: () => this.#linkOf(this.outbox.stream)?.heardAt ?? 0,
      open: async () => this.#openStream(),
      settled: (outcome, count) => {
        init.settled(this, outcome, count)
        if (!this.outbox.busy) queueMicrotask(() => this.#settleOnOne())
      },
      unanswered: () => init.unanswered(this, 'a message was not answered in time'),
      endedEarly: stream => this.#judgeEnd(stream),
      malformed: reason => init.malformed(this, reason)
    })
  }

  /**
   * The connection that is kept when there are two (docs/protocol.md, "Two connections"): the one that the smaller
   * peer ID dialled; both sides know which that is. Undefined while no connection is admitted.
   */
  get preferred(): Link | undefined {
    const { self } = this.#init
    const ours = self < this.peerId ? 'outbound' : 'inbound'
    const admitted = this.links.filter(link => link.admitted && link.open)
    return admitted.findLast(link => link.direction === ours) ?? admitted.at(-1)
  }

  /** Nothing is left that would need this object. */
  get idle(): boolean {
    return this.links.length === 0 && this.dials === 0 && this.outbox.unsettled === 0
  }

  /** A connection is usable; `stream` is a message stream that has shown it, if one has. */
  admit(link: Link, stream?: Stream): void {
    link.admitted = true
    if (stream !== undefined) this.outbox.attach(stream)
    const waiting = this.#waiting
    this.#waiting = []
    for (const { resolve } of waiting) resolve(this.preferred ?? link)
    this.#settleOnOne()
  }

  /** A connection has ended, or a dial has: if no way is left, everything is settled. */
  reconsider(): void {
    if (this.preferred !== undefined || this.dials > 0) return
    const waiting = this.#waiting
    this.#waiting = []
    for (const { reject } of waiting) reject(notConnected(this.peerId))
    this.outbox.disconnect()
  }

  #linkOf(stream: Stream | undefined): Link | undefined {
    return stream === undefined ? undefined : this.links.find(link => link.carries(stream))
  }

  async #openStream(): Promise<Stream> {
    for (;;) {
      const link = this.preferred ?? (await this.#whenAdmitted())
      try {
        return await link.openStream(AbortSignal.timeout(this.#init.openTimeoutMs))
      } catch (err) {
        // A connection that was superseded meanwhile says nothing about the one that is kept.
        if (this.preferred === undefined || this.preferred === link) throw err
      }
    }
  }

  async #whenAdmitted(): Promise<Link> {
    if (this.dials === 0) throw notConnected(this.peerId)
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }))
  }

  /**
   * Acks that have ended will not come in time: that is counted when the time is over. An orderly end of the connection
   * begins with the ends of its streams, and is no offence; by then it has come, or never will.
   */
  #judgeEnd(stream: Stream): void {
    const { clock, outbox, unanswered } = this.#init
    const link = this.#linkOf(stream)
    clock.after(outbox.ackTimeoutMs, () => {
      if (link?.open === true) unanswered(this, 'the acks of a stream ended before any message was answered')
    })
  }

  /** With two connections, moves to the one that is kept once nothing is in flight on the other, and retires that. */
  #settleOnOne(): void {
    if (this.links.length < 2) return
    const { preferred, outbox } = this
    if (preferred === undefined) return
    if (outbox.stream !== undefined && !preferred.carries(outbox.stream) && !outbox.busy) outbox.release()
    for (const other of this.links) if (other !== preferred) this.#retire(other)
  }

  /** The side that dialled the superfluous connection closes it, when neither side has used it for messages for a while. */
  #retire(link: Link): void {
    const { clock } = this.#init
    if (link.direction === 'inbound' || this.#retiring.has(link)) return
    this.#retiring.add(link)
    clock.after(RETIRE_AFTER_MS, () => {
      this.#retiring.delete(link)
      const { preferred } = this
      if (!link.open || preferred === undefined || preferred === link) return
      const unused = link.messageStreams === 0 && clock.now() - link.lastUsedAt >= RETIRE_AFTER_MS
      if (unused) void link.close('superseded by another connection to the same peer')
      else this.#settleOnOne()
    })
  }
}

function notConnected(peerId: string): P2pError {
  return new P2pError('ERR_DIAL_FAILED', `not connected to ${peerId}`)
}
