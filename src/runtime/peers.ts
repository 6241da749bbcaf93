import type { Stream } from '@libp2p/interface'
import type { AllowList } from '../allow-list/index.ts'
import type { EventWriter } from './event-writer.ts'
import type { MisbehaviourCause } from '../bridge/index.ts'
import type { Clock } from '../clock.ts'
import { publicKeyHashOfPeerId } from '../identity/index.ts'
import type { Link, LinkEnd } from '../libp2p/index.ts'
import type { Limits } from '../options.ts'
import { BucketTable } from '../rate-limiter/index.ts'
import { CONNECTIONS_PER_PEER, TAKEOVERS, WINDOW_BYTES, WINDOW_MESSAGES } from './limits.ts'
import { barred, DISCONNECTED, lost, REMOVED, REPLACED, SILENT, STOPPED } from './link-ends.ts'
import { Peer } from './peer.ts'
import { Totals } from './totals.ts'

export interface PeersInit {
  self: string
  clock: Clock
  limits: Limits
  allowList: AllowList
  events: EventWriter
  /** The peer broke the protocol. */
  charge: (cause: MisbehaviourCause, peerId: string, evidence: string) => void
  /** The peer is connected: dials to it have come true. Their ids, the one first that has waited longest. */
  claimDials: (peer: Peer) => number[]
  cancelDials: (peerId: string, reason: string) => void
}

/**
 * Who is connected: turns connections that come and go into one Connected and one Disconnected for each peer. The life of
 * a peer's object, in order:
 *
 * 1. `open`: a dial or a connection needs it; it gets its handle on the receiver channel;
 * 2. `opened`: a connection has passed the local checks, may take the place of an older one, and pays for itself;
 * 3. `admit`: the peer has admitted us on it: Connected, and its dials have come true;
 * 4. `closed`, `onRouteChange`: a connection or a dial has ended: without a way left, everything is settled, Disconnected;
 * 5. when no connection, dial or message is left, the object and its handle are released, its counters kept.
 */
export class Peers {
  readonly #init: PeersInit
  readonly #peers = new Map<string, Peer>()
  readonly #totals = new Totals()
  /** When the application parted from a peer, on the runtime's clock: kept as long as a handshake can take. */
  readonly #disconnectedAt = new Map<string, number>()
  readonly #connections: BucketTable
  #stopped = false
  readonly #open = new Set<Link>()

  constructor(init: PeersInit) {
    this.#init = init
    this.#connections = new BucketTable({ ...CONNECTIONS_PER_PEER, clock: init.clock.now })
  }

  /** Connections that are open, of all peers. */
  get links(): number {
    return this.#open.size
  }

  /** No message waits for its outcome. */
  get isSettled(): boolean {
    for (const { outbox } of this.#peers.values()) if (outbox.unsettled > 0) return false
    return true
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
      receiverHandle: events.introduce(peerId),
      clock,
      openTimeoutMs: handshakeTimeoutMs,
      outbox: {
        ackTimeoutMs,
        msPerByte: messageTimeoutMs / maxMessageBytes,
        // The longest that may lie before an ack is a message of the peer's, on a link that is just fast enough.
        maxDelayMs: messageTimeoutMs,
        writeTimeoutMs: messageTimeoutMs,
        windowMessages: WINDOW_MESSAGES,
        windowBytes: WINDOW_BYTES
      },
      settled: ({ senderHandle }, outcome, count) => {
        // What is unsettled at the end is settled by the application's side, as stopped.
        if (!this.#stopped) events.status(senderHandle, outcome, count)
      },
      unanswered: (_, evidence) => charge('unanswered-ack', peerId, evidence),
      malformed: (_, reason) => charge('malformed-message', peerId, reason)
    })
    Object.assign(peer, this.#totals.take(peerId))
    this.#peers.set(peerId, peer)
    return peer
  }

  /** A connection has passed every local check. */
  opened(link: Link): void {
    if (!link.open) return
    this.#open.add(link)
    if (this.#stopped) return
    // A handshake that the peer had begun before the application parted from it ends with it, as our own dials do.
    if (link.begunAt !== undefined && link.begunAt < (this.#disconnectedAt.get(link.peerId) ?? -Infinity)) {
      void link.close(DISCONNECTED)
      return
    }
    const peer = this.open(link.peerId)
    link.openedAt = this.#init.clock.now()
    const pinned = peer.links.filter(other => this.#replaces(link, other))
    peer.links.push(link)
    for (const other of pinned) other.abort(REPLACED)
    for (const other of peer.links) if (other !== link) void this.#confirm(peer, other)
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

  /** Whoever has made another connection may have lost this one: unless it is heard on it soon, it gives way. */
  async #confirm(peer: Peer, link: Link): Promise<void> {
    const isAlive = await link.confirmAlive(this.#init.limits.handshakeTimeoutMs)
    const hasAnother = peer.links.some(other => other !== link && other.admitted && other.open)
    if (!isAlive && link.open && hasAnother) link.abort(REPLACED)
    else peer.reroute()
  }

  /** A connection has ended. */
  closed(link: Link): void {
    this.#open.delete(link)
    const peer = this.#peers.get(link.peerId)
    const index = peer?.links.indexOf(link) ?? -1
    if (peer === undefined || index < 0) return
    peer.links.splice(index, 1)
    if (link.fault !== undefined) this.#init.charge(link.fault.cause, link.peerId, link.fault.reason)
    if (link === peer.reportedLink && !this.#stopped) {
      if (link.end === REPLACED && peer.announced && peer.preferred !== undefined) this.#tellTakeover(peer)
      else peer.reportedLink = peer.preferred
    }
    this.onRouteChange(peer, link.end)
  }

  /** A restart, or a second node with the peer's key: the application must not go on as if nothing had happened. */
  #tellTakeover(peer: Peer): void {
    const link = peer.preferred!
    this.#announceLoss(peer, REPLACED)
    const [first, ...others] = this.#init.claimDials(peer)
    this.#announce(peer, link, first)
    for (const id of others) this.tellAlready(peer, id)

    const now = this.#init.clock.now()
    peer.takeovers = peer.takeovers
      .filter(time => now - time < TAKEOVERS.withinMs)
      .slice(1 - TAKEOVERS.reportedAt)
    if (peer.takeovers.length === 0) peer.takeoversReported = false
    peer.takeovers.push(now)
    if (peer.takeovers.length < TAKEOVERS.reportedAt || peer.takeoversReported) return
    peer.takeoversReported = true
    const { peerId } = peer
    this.#init.events.control({
      type: 'Error',
      code: 'ERR_NOT_ALLOWED',
      message:
        `connections of ${peerId} replace each other again and again: two nodes may be using its key, ` +
        `or its network loses connections`,
      peerId,
      ...(link.ip !== undefined && { ip: link.ip })
    })
  }

  /** A connection is usable from both sides; `stream` is the message stream that has shown it, if one has. */
  admit(peer: Peer, link: Link, stream?: Stream): void {
    if (this.#stopped || !link.open) return
    peer.admit(link, stream)
    const ids = this.#init.claimDials(peer)
    if (!peer.announced) this.#announce(peer, link, ids.shift())
    for (const id of ids) this.tellAlready(peer, id)
  }

  /** The peer of a dial is reachable, and not by that dial. */
  tellAlready(peer: Peer, id: number): void {
    const { peerId, keyHash, address } = peer.preferred!
    // Noise has proved the key of every connection.
    this.#init.events.control({ type: 'AlreadyConnected', peerId, keyHash: keyHash!, address, id })
  }

  /** The peer has given no sign of life when it was asked for one: no connection to it is worth anything. */
  endSilent(peer: Peer): void {
    for (const link of peer.links.filter(({ admitted }) => admitted)) link.abort(SILENT)
  }

  /** A connection or a dial has ended: settles what has no way left, says so, and forgets a peer of whom nothing is left. */
  onRouteChange(peer: Peer, end: LinkEnd = lost('the connection ended')): void {
    if (this.#stopped) return
    peer.failIfUnreachable()
    if (peer.preferred === undefined) this.#announceLoss(peer, end)
    if (!peer.idle || this.#peers.get(peer.peerId) !== peer) return
    this.#peers.delete(peer.peerId)
    this.#totals.keep(peer.peerId, peer)
    this.#init.events.retire(peer.receiverHandle)
  }

  /** Parts from a peer in an orderly way: its messages are settled now, the goodbye may take a moment. */
  disconnect(peerId: string): void {
    const { clock, limits, cancelDials } = this.#init
    const now = clock.now()
    this.#disconnectedAt.set(peerId, now)
    clock.after(limits.handshakeTimeoutMs, () => {
      if (this.#disconnectedAt.get(peerId) === now) this.#disconnectedAt.delete(peerId)
    })
    cancelDials(peerId, DISCONNECTED.reason)
    const peer = this.#peers.get(peerId)
    if (peer === undefined) return
    // One that ends at once leaves the list.
    for (const link of [...peer.links]) void link.close(DISCONNECTED)
    this.onRouteChange(peer, DISCONNECTED)
  }

  /** Cuts a peer off. */
  hangUp(peerId: string, reason: string): void {
    for (const link of [...(this.#peers.get(peerId)?.links ?? [])]) link.abort(barred(reason))
    this.#init.cancelDials(peerId, reason)
  }

  /** The allow list has changed: what it no longer allows ends now. */
  enforceAllowList(): void {
    const { allowList, cancelDials } = this.#init
    for (const peer of [...this.#peers.values()]) {
      const keyHash = peer.links[0]?.keyHash ?? publicKeyHashOfPeerId(peer.peerId)
      for (const link of [...peer.links]) {
        if (allowList.verdict(peer.peerId, link.keyHash, link.ip) !== 'allowed') link.abort(REMOVED)
      }
      if (!allowList.mayKnow(peer.peerId, keyHash)) cancelDials(peer.peerId, REMOVED.reason)
    }
  }

  /** From now on nothing is settled or told any more, but that everybody is gone. */
  stop(): void {
    for (const peer of this.#peers.values()) this.#announceLoss(peer, STOPPED)
    this.#stopped = true
  }

  #announce(peer: Peer, link: Link, id: number | undefined): void {
    const { peerId, address, direction } = link
    peer.announced = true
    peer.reportedLink = link
    this.#init.events.control({
      type: 'Connected',
      peerId,
      address,
      direction,
      ...(id !== undefined && { id })
    })
  }

  #announceLoss(peer: Peer, { code, reason }: LinkEnd): void {
    if (!peer.announced) return
    peer.announced = false
    this.#init.events.control({ type: 'Disconnected', peerId: peer.peerId, code, reason })
  }
}
