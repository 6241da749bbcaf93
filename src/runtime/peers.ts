import type { Stream } from '@libp2p/interface'
import type { AllowList } from '../allow-list/index.ts'
import type { EventWriter, MisbehaviourCause } from '../channels/index.ts'
import type { Clock } from '../clock.ts'
import { publicKeyHashOfPeerId } from '../identity/index.ts'
import type { Link, LinkEnd } from '../node/index.ts'
import type { Limits } from '../options.ts'
import { BucketTable } from '../rate-limiter/index.ts'
import { Peer } from './peer.ts'

/** Messages in flight to one peer, and their bytes on the wire; one message may always be in flight. */
const WINDOW_MESSAGES = 16_384
export const WINDOW_BYTES: number = 4 * 1024 * 1024

/** Connections that a peer may make at once, and per second: each costs a handshake (docs/decisions/0009). */
const CONNECTIONS = { capacity: 512, refillPerSecond: 8 }

const ENDED: LinkEnd = { code: 'lost', reason: 'the connection ended' }
const PARTED: LinkEnd = { code: 'parted', reason: 'disconnected by this application' }
const REMOVED: LinkEnd = { code: 'removed', reason: 'no longer allowed by the allow list' }
const REPLACED: LinkEnd = { code: 'replaced', reason: 'replaced by a newer connection of the same peer' }

export interface PeersInit {
  self: string
  clock: Clock
  limits: Limits
  allowList: AllowList
  events: EventWriter
  /** The peer broke the protocol. */
  charge: (cause: MisbehaviourCause, peerId: string, evidence: string) => void
  /** The peer is connected: dials to it have come true; the id of the first. */
  claimDials: (peerId: string) => number | undefined
  cancelDials: (peerId: string, reason: string) => void
}

/** Who is connected: turns connections that come and go into one Connected and one Disconnected for each peer. */
export class Peers {
  readonly #init: PeersInit
  readonly #peers = new Map<string, Peer>()
  /** When the application parted from a peer, in milliseconds since 1970: kept as long as a handshake can take. */
  readonly #parted = new Map<string, number>()
  readonly #connections: BucketTable
  #stopped = false
  readonly #open = new Set<Link>()

  constructor(init: PeersInit) {
    this.#init = init
    this.#connections = new BucketTable({ ...CONNECTIONS, clock: init.clock.now })
  }

  /** Connections that are open, of all peers. */
  get links(): number {
    return this.#open.size
  }

  get(peerId: string): Peer | undefined {
    return this.#peers.get(peerId)
  }

  [Symbol.iterator](): IterableIterator<Peer> {
    return this.#peers.values()
  }

  /** The peer, known from now on if it was not. */
  open(peerId: string): Peer {
    const known = this.#peers.get(peerId)
    if (known !== undefined) return known
    const { self, clock, limits, events, charge } = this.#init
    const { ackTimeoutMs, messageTimeoutMs, maxMessageBytes, handshakeTimeoutMs } = limits
    const peer = new Peer({
      peerId,
      self,
      subject: events.introduce(peerId),
      clock,
      openTimeoutMs: handshakeTimeoutMs,
      outbox: {
        ackTimeoutMs,
        msPerByte: messageTimeoutMs / maxMessageBytes,
        // The longest that may lie before an ack is a message of his, on a link that is just fast enough.
        maxDelayMs: messageTimeoutMs,
        windowMessages: WINDOW_MESSAGES,
        windowBytes: WINDOW_BYTES
      },
      settled: ({ book }, outcome, count) => {
        // What is unsettled at the end is settled by the application's side, as stopped.
        if (!this.#stopped) events.status(book, outcome, count)
      },
      unanswered: (_, evidence) => charge('unanswered-ack', peerId, evidence),
      malformed: (_, reason) => charge('malformed-message', peerId, reason)
    })
    this.#peers.set(peerId, peer)
    return peer
  }

  /** A connection has passed every local check. */
  opened(link: Link): void {
    if (!link.open) return
    this.#open.add(link)
    if (this.#stopped) return
    // A handshake that the peer had begun before the application parted from him ends with it, as our own dials do.
    if (link.direction === 'inbound' && link.begunAt < (this.#parted.get(link.peerId) ?? 0)) {
      void link.close(PARTED)
      return
    }
    const peer = this.open(link.peerId)
    link.openedAt = this.#init.clock.now()
    const stale = peer.links.filter(other => this.#replaces(link, other))
    peer.links.push(link)
    for (const other of stale) other.abort(REPLACED)
    if (link.direction === 'inbound' && !this.#connections.take(link.peerId, 1)) {
      this.#init.charge('protocol-abuse', link.peerId, 'connects again and again')
    }
    if (link.admitted) this.admit(peer, link)
  }

  /**
   * A peer that dials again has lost the connection it had (docs/decisions/0007): a half-dead one must not linger beside
   * the new one. It cannot have known of one that we dialled at the same moment, which two handshakes ago is past.
   */
  #replaces(link: Link, older: Link): boolean {
    if (link.direction === 'outbound') return false
    const { handshakeTimeoutMs } = this.#init.limits
    return older.direction === 'inbound' || link.openedAt - older.openedAt > 2 * handshakeTimeoutMs
  }

  /** A connection has ended. */
  closed(link: Link): void {
    this.#open.delete(link)
    const peer = this.#peers.get(link.peerId)
    const index = peer?.links.indexOf(link) ?? -1
    if (peer === undefined || index < 0) return
    peer.links.splice(index, 1)
    if (link.fault !== undefined) this.#init.charge(link.fault.cause, link.peerId, link.fault.reason)
    this.review(peer, link.end)
  }

  /** A connection is usable from both sides; `stream` is the message stream that has shown it, if one has. */
  admit(peer: Peer, link: Link, stream?: Stream): void {
    if (this.#stopped || !link.open) return
    peer.admit(link, stream)
    if (peer.announced) return
    peer.announced = true
    const id = this.#init.claimDials(peer.peerId)
    const { peerId, address, direction } = link
    this.#init.events.control({
      type: 'Connected',
      peerId,
      address,
      direction,
      ...(id !== undefined && { id })
    })
  }

  /** A connection or a dial has ended: settles what has no way left, says so, and forgets a peer of whom nothing is left. */
  review(peer: Peer, end: LinkEnd = ENDED): void {
    if (this.#stopped) return
    peer.reconsider()
    if (peer.preferred === undefined) this.#announceLoss(peer, end)
    if (!peer.idle || this.#peers.get(peer.peerId) !== peer) return
    this.#peers.delete(peer.peerId)
    this.#init.events.retire(peer.subject)
  }

  /** Parts from a peer in an orderly way: its messages are settled now, the goodbye may take a moment. */
  disconnect(peerId: string): void {
    const { clock, limits, cancelDials } = this.#init
    const now = Date.now()
    this.#parted.set(peerId, now)
    clock.after(limits.handshakeTimeoutMs, () => {
      if (this.#parted.get(peerId) === now) this.#parted.delete(peerId)
    })
    cancelDials(peerId, PARTED.reason)
    const peer = this.#peers.get(peerId)
    if (peer === undefined) return
    // One that ends at once leaves the list.
    for (const link of [...peer.links]) void link.close(PARTED)
    this.review(peer, PARTED)
  }

  /** Cuts a peer off. */
  hangUp(peerId: string, reason: string): void {
    for (const link of [...(this.#peers.get(peerId)?.links ?? [])]) link.abort({ code: 'barred', reason })
    this.#init.cancelDials(peerId, reason)
  }

  /** The allow list has changed: what it no longer allows ends now. */
  enforceAllowList(): void {
    const { allowList, cancelDials } = this.#init
    for (const peer of [...this.#peers.values()]) {
      const keyHash = peer.links[0]?.keyHash ?? publicKeyHashOfPeerId(peer.peerId)
      for (const link of [...peer.links]) {
        if (allowList.judge(peer.peerId, link.keyHash, link.ip) !== 'allowed') link.abort(REMOVED)
      }
      if (!allowList.mayKnow(peer.peerId, keyHash)) cancelDials(peer.peerId, REMOVED.reason)
    }
  }

  /** From now on nothing is settled or told any more, but that everybody is gone. */
  stop(reason: string): void {
    for (const peer of this.#peers.values()) this.#announceLoss(peer, { code: 'stopped', reason })
    this.#stopped = true
  }

  #announceLoss(peer: Peer, { code, reason }: LinkEnd): void {
    if (!peer.announced) return
    peer.announced = false
    this.#init.events.control({ type: 'Disconnected', peerId: peer.peerId, code, reason })
  }
}
