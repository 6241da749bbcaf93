import type { MultiaddrConnection, Stream } from '@libp2p/interface'
import { rateSubject } from '../addresses/index.ts'
import { AllowList } from '../allow-list/index.ts'
import type { CommandHandler, ControlRequest, PlainCommand } from '../channels/index.ts'
import type { CommandReader, DroppedWriter, EventWriter, RuntimeSnapshot } from '../channels/index.ts'
import type { Clock } from '../clock.ts'
import { createGater } from '../gater/index.ts'
import type { Denial } from '../gater/index.ts'
import { decodePrivateKey } from '../identity/index.ts'
import { createNode } from '../node/index.ts'
import type { Link, Node } from '../node/index.ts'
import type { ResolvedOptions } from '../options.ts'
import { BucketTable } from '../rate-limiter/index.ts'
import { Dialler } from './dialler.ts'
import { denialText } from './dial.ts'
import { acceptStream } from './inbound.ts'
import { Judge } from './misbehaviour.ts'
import type { Subject } from './misbehaviour.ts'
import { Peer } from './peer.ts'
import { snapshot } from './snapshot.ts'

/** Messages in flight to one peer, and their bytes on the wire; one message may always be in flight. */
const WINDOW_MESSAGES = 16_384
const WINDOW_BYTES = 4 * 1024 * 1024
/**
 * Control events are never dropped. Once so many are unread, nobody new is let in and nothing new is reported about
 * strangers, until the application reads: the backlog is bounded by what the application itself has asked for.
 */
const MAX_UNREAD_CONTROL = 65_536
/** Connections turned away for lack of room are reported at most this often, in milliseconds. */
const REFUSAL_INTERVAL_MS = 10_000

export interface RuntimeInit {
  privateKey: Uint8Array
  listen: string[]
  options: ResolvedOptions
  clock: Clock
  commands: CommandReader
  events: EventWriter
  dropped: DroppedWriter
  /** Everything is closed; the thread may end. */
  stopped: () => void
}

/** The network side of a P2p: wires node, protocol and channels together. No rule of its own beyond who is connected. */
export class Runtime implements CommandHandler {
  readonly #init: RuntimeInit
  readonly #self: string
  readonly #allowList: AllowList
  readonly #judge: Judge
  readonly #peers = new Map<string, Peer>()
  /** Peers by the application's numbers: the text is canonical. */
  readonly #books: string[] = []
  /** Connections that the gater has reported, so that nobody is charged twice for one. */
  readonly #denied = new WeakSet<MultiaddrConnection>()
  readonly #dialler: Dialler
  #node: Node | undefined
  #refusalTold = -Infinity
  #links = 0
  #stopping = false

  constructor(init: RuntimeInit) {
    const { options, clock, events } = init
    this.#init = init
    this.#allowList = new AllowList(options.allowList)
    const { capacity, refillPerSecond, costs } = options.rateLimit
    const bucketInit = { capacity, refillPerSecond, clock: clock.now }
    this.#judge = new Judge({
      peerBuckets: new BucketTable(bucketInit),
      addressBuckets: new BucketTable(bucketInit),
      costs,
      cutOff: (subject, reason) => this.#cutOff(subject, reason),
      emit: event => events.control(event)
    })
    const key = decodePrivateKey(init.privateKey)
    this.#self = key.publicKey.toString()
    this.#dialler = new Dialler({
      timeoutMs: options.limits.handshakeTimeoutMs,
      allowList: this.#allowList,
      isBarred: subject => this.#judge.isBarred(subject),
      peer: peerId => this.#peer(peerId),
      node: () => this.#node!,
      admitted: (peer, link, stream) => this.#admit(peer, link, stream),
      done: peer => this.#review(peer),
      settled: id => events.dialSettled(id),
      failed: (err, peerId, id) => events.control({ type: 'Error', ...err, peerId, id })
    })
  }

  /** Listens; the addresses. @throws whatever libp2p says when an address cannot be bound */
  async start(): Promise<string[]> {
    const { privateKey, listen, options } = this.#init
    const { limits } = options
    const isBarred = (subject: string): boolean => this.#judge.isBarred(subject)
    this.#node = await createNode({
      privateKey: decodePrivateKey(privateKey),
      listen,
      gater: createGater({
        allowList: this.#allowList,
        isBarred,
        denied: (denial, connection) => this.#onDenied(denial, connection)
      }),
      guard: {
        isBarred,
        hasRoom: pending =>
          this.#links + pending < limits.maxConnections &&
          this.#init.events.unreadControl < MAX_UNREAD_CONTROL,
        wasDenied: connection => this.#stopping || this.#denied.has(connection),
        failed: (ip, reason) =>
          this.#judge.report({
            cause: 'failed-handshake',
            subject: { ip: rateSubject(ip) },
            evidence: reason
          }),
        refused: ip => this.#onRefused(ip)
      },
      handshakeTimeoutMs: limits.handshakeTimeoutMs,
      opened: link => this.#onOpened(link),
      closed: link => this.#onClosed(link),
      stream: (link, stream) => this.#onStream(link, stream)
    })
    return this.#node.addresses
  }

  /** Takes what is on the sender channel. */
  drainCommands(): void {
    if (this.#init.commands.drain(this)) setImmediate(() => this.drainCommands())
  }

  peer(subject: number, peerId: string): void {
    this.#books[subject] = peerId
  }

  send(subject: number, frames: Uint8Array, count: number): void {
    if (this.#stopping) return
    const peer = this.#peers.get(this.#books[subject]!)
    if (peer === undefined) {
      this.#init.events.status(subject, 'not-connected', count)
      return
    }
    peer.book = subject
    peer.sent += count
    peer.bytesSent += frames.length
    peer.outbox.send(frames, count)
  }

  command(command: PlainCommand): void {
    if (this.#stopping) return
    switch (command.type) {
      case 'Dial':
        this.#dialler.dial(command)
        break
      case 'DisconnectFrom':
        if (command.peerId === undefined) void this.stop()
        else this.#disconnect(command.peerId)
        break
    }
  }

  /** Answers a request, after everything that was handed over before it. */
  request(request: ControlRequest): unknown {
    while (this.#init.commands.drain(this));
    switch (request.method) {
      case 'allow-list.add':
        this.#allowList.add(request.entry)
        return this.#enforce()
      case 'allow-list.remove': {
        const removed = this.#allowList.remove(request.peerId)
        this.#enforce()
        return removed
      }
      case 'allow-list.replace':
        this.#allowList.replace(request.list)
        return this.#enforce()
      case 'allow-list.allow-all':
        this.#allowList.allowAll(request.on)
        return this.#enforce()
      case 'allow-list.entries':
        return this.#allowList.entries()
      case 'inspect':
        return this.#snapshot()
    }
  }

  #snapshot(): RuntimeSnapshot {
    const { events, dropped } = this.#init
    return snapshot(this.#peers.values(), this.#judge, events, dropped.total)
  }

  /** Disconnects everybody and ends. What is unsettled is settled by the application's end as stopped. */
  async stop(): Promise<void> {
    if (this.#stopping) return
    this.#stopping = true
    this.#dialler.cancel(undefined, 'the node is stopping')
    for (const peer of this.#peers.values()) this.#announceLoss(peer, 'this node was stopped')
    try {
      await this.#node?.stop()
    } finally {
      this.#init.stopped()
    }
  }

  #peer(peerId: string): Peer {
    const known = this.#peers.get(peerId)
    if (known !== undefined) return known
    const { clock, events, options } = this.#init
    const { ackTimeoutMs, messageTimeoutMs, maxMessageBytes, handshakeTimeoutMs } = options.limits
    const peer = new Peer({
      peerId,
      self: this.#self,
      subject: events.introduce(peerId),
      clock,
      openTimeoutMs: handshakeTimeoutMs,
      outbox: {
        ackTimeoutMs,
        msPerByte: messageTimeoutMs / maxMessageBytes,
        windowMessages: WINDOW_MESSAGES,
        windowBytes: WINDOW_BYTES
      },
      settled: ({ book }, outcome, count) => {
        if (!this.#stopping) events.status(book, outcome, count)
      },
      unanswered: () => this.#charge('unanswered-ack', peerId, 'a message was not answered in time'),
      malformed: (_, reason) => this.#charge('malformed-message', peerId, reason)
    })
    this.#peers.set(peerId, peer)
    return peer
  }

  #charge(cause: 'unanswered-ack' | 'malformed-message', peerId: string, evidence: string): void {
    if (!this.#stopping) this.#judge.report({ cause, subject: { peerId }, evidence })
  }

  #onOpened(link: Link): void {
    if (!link.open) return
    this.#links++
    if (this.#stopping) return
    const peer = this.#peer(link.peerId)
    // A peer that connects again has lost the connection it had: a half-dead one must not linger beside the new one.
    const stale = peer.links.filter(
      other => other.direction === link.direction && link.direction === 'inbound'
    )
    peer.links.push(link)
    for (const other of stale) other.abort('replaced by a newer connection of the same peer')
    if (link.admitted) this.#admit(peer, link)
  }

  #onClosed(link: Link): void {
    this.#links--
    const peer = this.#peers.get(link.peerId)
    const index = peer?.links.indexOf(link) ?? -1
    if (peer === undefined || index < 0) return
    peer.links.splice(index, 1)
    if (link.fault !== undefined) this.#charge('malformed-message', link.peerId, link.fault)
    this.#review(peer, link.endReason)
  }

  #admit(peer: Peer, link: Link, stream?: Stream): void {
    if (this.#stopping || !link.open) return
    peer.admit(link, stream)
    if (peer.announced) return
    peer.announced = true
    const id = this.#dialler.claim(peer.peerId)
    const { peerId, address, direction } = link
    this.#init.events.control({
      type: 'Connected',
      peerId,
      address,
      direction,
      ...(id !== undefined && { id })
    })
  }

  /** A connection or a dial has ended: settles what has no way left, says so, and forgets the peer if nothing is left. */
  #review(peer: Peer, reason = 'the connection ended'): void {
    if (this.#stopping) return
    peer.reconsider()
    if (peer.preferred === undefined) this.#announceLoss(peer, reason)
    if (!peer.idle || this.#peers.get(peer.peerId) !== peer) return
    this.#peers.delete(peer.peerId)
    this.#init.events.retire(peer.subject)
  }

  #announceLoss(peer: Peer, reason: string): void {
    if (!peer.announced) return
    peer.announced = false
    this.#init.events.control({ type: 'Disconnected', peerId: peer.peerId, reason })
  }

  #onStream(link: Link, stream: Stream): void {
    const peer = this.#peers.get(link.peerId)
    if (peer === undefined || this.#stopping) {
      stream.abort(new Error('not connected'))
      return
    }
    const { options, clock, events, dropped } = this.#init
    const { maxMessageBytes, messageTimeoutMs } = options.limits
    acceptStream({
      peer,
      link,
      stream,
      clock,
      limits: { maxMessageBytes, messageTimeoutMs },
      events,
      dropped,
      malformed: reason => this.#charge('malformed-message', link.peerId, reason)
    })
  }

  #onDenied(denial: Denial, connection?: MultiaddrConnection): void {
    if (connection !== undefined) this.#denied.add(connection)
    const { reason, direction, peerId, ip } = denial
    if (direction === 'outbound') {
      this.#dialler.denied(denial)
      return
    }
    // The bar has been reported when it began; each further attempt must cost next to nothing.
    if (reason === 'barred' || ip === undefined) return
    if (this.#init.events.unreadControl < MAX_UNREAD_CONTROL) {
      this.#init.events.control({
        type: 'Error',
        code: 'ERR_NOT_ALLOWED',
        message: `a connection from ${ip} was turned away: ${denialText(denial)}`,
        ...(peerId !== undefined && { peerId })
      })
    }
    // The address pays: the key's owner must not be cut off by who only shows up with his name (decisions/0003).
    const cause = reason === 'wrong-address' ? 'ip-mismatch' : 'unknown-peer'
    this.#judge.report({ cause, subject: { ip: rateSubject(ip) }, evidence: denialText(denial) })
  }

  /** Lack of room is told, but not for every connection: whoever causes it must not fill the channel that reports it. */
  #onRefused(ip: string): void {
    const now = this.#init.clock.now()
    if (now - this.#refusalTold < REFUSAL_INTERVAL_MS) return
    this.#refusalTold = now
    const message = `connections are turned away for lack of room, the last one from ${ip}`
    this.#init.events.control({ type: 'Error', code: 'ERR_NOT_ALLOWED', message })
  }

  /** Ends everything a barred subject has here, except what named peers hold from a barred address. */
  #cutOff(subject: Subject, reason: string): void {
    if (subject.peerId !== undefined) this.#hangUp(subject.peerId, reason)
    else this.#node?.endHandshakes(subject.ip, reason)
  }

  /** The application wants no connection to this peer: its messages are settled now, the goodbye may take a moment. */
  #disconnect(peerId: string): void {
    const reason = 'disconnected by this application'
    this.#dialler.cancel(peerId, reason)
    const peer = this.#peers.get(peerId)
    if (peer === undefined) return
    for (const link of peer.links) void link.close(reason)
    this.#review(peer, reason)
  }

  #hangUp(peerId: string, reason: string): void {
    const peer = this.#peers.get(peerId)
    for (const link of [...(peer?.links ?? [])]) link.abort(reason)
    this.#dialler.cancel(peerId, reason)
  }

  /** The allow list has changed: what it no longer allows ends now. */
  #enforce(): void {
    for (const peer of [...this.#peers.values()]) {
      for (const link of [...peer.links]) {
        const verdict = this.#allowList.judge(peer.peerId, link.keyHash, link.ip)
        if (verdict !== 'allowed') link.abort('no longer allowed by the allow list')
      }
      const keyHash = peer.links[0]?.keyHash
      if (!this.#allowList.mayKnow(peer.peerId, keyHash)) {
        this.#dialler.cancel(peer.peerId, 'no longer allowed by the allow list')
      }
    }
  }
}
