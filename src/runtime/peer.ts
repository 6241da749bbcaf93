import type { Stream } from '@libp2p/interface'
import type { Clock } from '../clock.ts'
import { messageOf, P2pError } from '../errors.ts'
import { unsentBytes } from '../libp2p/index.ts'
import type { Link } from '../libp2p/index.ts'
import { Outbox } from '../protocol/index.ts'
import type { Outcome, OutboxLimits } from '../protocol/index.ts'
import { CLOSE_UNUSED_AFTER_MS, ORDERLY_END_MS, RECENTLY_RECEIVED_MS } from './limits.ts'
import { SUPERFLUOUS, takesNoMessages } from './link-ends.ts'
import { openMessageStream } from './open-stream.ts'

/** Made once: it is told to nobody. */
const STALLED = new Error('the peer is heard on another connection')

export interface PeerInit {
  peerId: string
  /** Own peer ID: with the peer's it decides which of two connections is kept. */
  self: string
  /** The peer's number on the receiver channel. */
  receiverHandle: number
  clock: Clock
  outbox: OutboxLimits
  /** Opening a message stream may take so long, in milliseconds. */
  openTimeoutMs: number
  settled: (peer: Peer, outcome: Outcome, count: number) => void
  unanswered: (peer: Peer, evidence: string) => void
  malformed: (peer: Peer, reason: string) => void
}

/** Everything the runtime holds for one peer: its connections, dials to it, and the messages on their way to it. */
export class Peer {
  readonly peerId: string
  readonly receiverHandle: number
  readonly outbox: Outbox
  readonly #init: PeerInit
  /** Connections, oldest first. */
  readonly links: Link[] = []
  /** Dials under way or waiting their turn. */
  dials = 0
  /** The application has been told Connected, and not yet Disconnected. */
  announced = false
  /** The connection that the application has been told of, or what is left when that has become superfluous. */
  reportedLink: Link | undefined
  /** When connections have taken each other's place lately, and whether that has been reported. */
  takeovers: number[] = []
  takeoversReported = false
  /** The peer handle on the sender channel. */
  senderHandle = 0
  sent = 0
  bytesSent = 0
  received = 0
  bytesReceived = 0
  /** Superfluous connections whose next look is arranged for. */
  readonly #superfluous = new Set<Link>()
  /** The last attempt to open a message stream. */
  #opening: (AbortController & { link: Link }) | undefined
  /** Nothing is written on this connection until the peer is heard on it. */
  #pausedOn: Link | undefined
  #waiting: Array<{ resolve: (link: Link) => void; reject: (err: Error) => void }> = []

  constructor(init: PeerInit) {
    this.#init = init
    this.peerId = init.peerId
    this.receiverHandle = init.receiverHandle
    this.outbox = new Outbox({
      limits: init.outbox,
      clock: init.clock,
      backlog: unsentBytes,
      lastReceivedAt: () => this.#linkOf(this.outbox.stream)?.lastReceivedAt ?? 0,
      whenHeard: action => this.#linkOf(this.outbox.stream)?.whenHeard(action) ?? (() => {}),
      mayWrite: () => this.#mayWrite(),
      open: async () => this.#openStream(),
      settled: (outcome, count) => {
        init.settled(this, outcome, count)
        if (!this.outbox.busy) queueMicrotask(() => this.#convergeOnPreferred())
      },
      unanswered: () => init.unanswered(this, 'a message was not answered in time'),
      endedEarly: stream => this.#chargeEarlyEnd(stream),
      malformed: reason => init.malformed(this, reason)
    })
  }

  /**
   * The connection that is kept when there are two (docs/protocol.md, "Two connections"): the one that the smaller
   * peer ID dialled; both sides know which that is. One that does not answer gives way to one on which the peer has been
   * heard since. Undefined while no connection is admitted.
   */
  get preferred(): Link | undefined {
    const { self } = this.#init
    const ours = self < this.peerId ? 'outbound' : 'inbound'
    const usable = this.links.filter(link => link.admitted && link.open && !this.#isStalled(link))
    return usable.findLast(link => link.direction === ours) ?? usable.at(-1)
  }

  /** The peer has been asked on this connection in vain, and was heard later on another. */
  #isStalled(link: Link): boolean {
    return (
      link.unanswered &&
      this.links.some(
        other =>
          other.admitted && other.open && !other.unanswered && other.lastReceivedAt > link.lastReceivedAt
      )
    )
  }

  /**
   * Whether the peer is there: asked on the connection that is preferred, true as soon as it is heard on it, at once if
   * that was a moment ago; false when it stays silent for so long, or there is no connection.
   */
  async confirmAlive(withinMs: number): Promise<boolean> {
    const { preferred } = this
    if (preferred === undefined) return false
    const isFresh =
      !preferred.unanswered && this.#init.clock.now() - preferred.lastReceivedAt < RECENTLY_RECEIVED_MS
    return isFresh || preferred.confirmAlive(withinMs)
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
    this.reroute()
  }

  /** It has come to light on which connections the peer is heard. */
  reroute(): void {
    const opening = this.#opening
    if (opening !== undefined && this.#isStalled(opening.link)) opening.abort(STALLED)
    this.#convergeOnPreferred()
    this.outbox.resume()
  }

  /** A connection has ended, or a dial has: if no way is left, everything is settled. */
  failIfUnreachable(): void {
    if (this.preferred !== undefined || this.dials > 0) {
      this.reroute()
      return
    }
    const error = notConnected(this.peerId)
    const waiting = this.#waiting
    this.#waiting = []
    for (const { reject } of waiting) reject(error)
    this.#opening?.abort(error)
    this.outbox.disconnect()
  }

  #linkOf(stream: Stream | undefined): Link | undefined {
    return stream === undefined ? undefined : this.links.find(link => link.carries(stream))
  }

  async #openStream(): Promise<Stream> {
    const { clock, openTimeoutMs: timeoutMs } = this.#init
    for (;;) {
      const link = this.preferred ?? (await this.#whenAdmitted())
      const { signal } = (this.#opening = Object.assign(new AbortController(), { link }))
      try {
        return await openMessageStream(link, { clock, timeoutMs, signal })
      } catch (err) {
        if (!signal.aborted) await this.#giveUp(link, messageOf(err))
        if (signal.reason instanceof P2pError) throw signal.reason
      }
    }
  }

  /**
   * A connection on which the peer takes no messages must not look as if they had a way. Not at once: an orderly end
   * begins with the ends of streams.
   */
  async #giveUp(link: Link, reason: string): Promise<void> {
    if (link.open) await new Promise<void>(resolve => this.#init.clock.after(ORDERLY_END_MS, resolve))
    // One that has been superseded says nothing about the one that is kept.
    if (link.open && this.preferred === link) {
      link.abort(takesNoMessages(reason))
    }
  }

  /** Not on a connection that the peer may have left for another: what is not written there can still take that one. */
  #mayWrite(): boolean {
    if (this.links.length < 2) return true
    const link = this.#linkOf(this.outbox.stream)
    if (link === undefined || !this.#isStalled(link)) return true
    if (this.#pausedOn !== link) {
      this.#pausedOn = link
      link.whenHeard(() => {
        this.#pausedOn = undefined
        this.reroute()
      })
    }
    return false
  }

  async #whenAdmitted(): Promise<Link> {
    if (this.dials === 0) throw notConnected(this.peerId)
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }))
  }

  /**
   * Acks that have ended will not come in time: that is counted when the time is over. An orderly end of the connection
   * begins with the ends of its streams, and is no offence; by then it has come, or never will.
   */
  #chargeEarlyEnd(stream: Stream): void {
    const { clock, outbox, unanswered } = this.#init
    const link = this.#linkOf(stream)
    const { ackTimeoutMs } = outbox
    const charge = (): void => {
      if (link?.open !== true) return
      unanswered(this, 'the acks of a stream ended before any message was answered')
    }
    // A peer that is not heard any more may have been stopped in the middle of it: its time begins when it is heard again.
    clock.after(ackTimeoutMs, () => link?.whenHeard(() => void clock.after(ackTimeoutMs, charge)))
  }

  /** With two connections, moves to the one that is kept once nothing is in flight on the other, and has that closed. */
  #convergeOnPreferred(): void {
    if (this.links.length < 2) return
    const { preferred, outbox } = this
    if (preferred === undefined) return
    if (outbox.stream !== undefined && !preferred.carries(outbox.stream) && !outbox.busy) outbox.release()
    for (const other of this.links) if (other !== preferred) this.#closeWhenUnused(other)
  }

  /** The side that dialled the superfluous connection closes it, when neither side has used it for messages for a while. */
  #closeWhenUnused(link: Link): void {
    const { clock } = this.#init
    if (link.direction === 'inbound' || this.#superfluous.has(link)) return
    this.#superfluous.add(link)
    clock.after(CLOSE_UNUSED_AFTER_MS, () => {
      this.#superfluous.delete(link)
      const { preferred } = this
      if (!link.open || preferred === undefined || preferred === link) return
      const unused = link.messageStreams === 0 && clock.now() - link.lastUsedAt >= CLOSE_UNUSED_AFTER_MS
      if (unused) void link.close(SUPERFLUOUS)
      else this.#convergeOnPreferred()
    })
  }
}

function notConnected(peerId: string): P2pError {
  return new P2pError('ERR_DIAL_FAILED', `not connected to ${peerId}`)
}
