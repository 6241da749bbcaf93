import type { MultiaddrConnection, PrivateKey, Stream } from '@libp2p/interface'
import { addressKey } from '../addresses/index.ts'
import { AllowList } from '../allow-list/index.ts'
import type { CommandHandler, CommandReader } from './command-reader.ts'
import type {
  ControlRequest,
  MisbehaviourCause,
  Offender,
  PlainCommand,
  RuntimeSnapshot
} from '../bridge/index.ts'
import type { DroppedWriter } from './dropped-writer.ts'
import type { EventWriter } from './event-writer.ts'
import type { Clock } from '../clock.ts'
import { createGater, denialText } from '../gater/index.ts'
import type { Denial } from '../gater/index.ts'
import { decodePrivateKey, peerIdFromPrivateKey } from '../identity/index.ts'
import { Names } from '../names/index.ts'
import type { ResultOrder } from '../names/index.ts'
import type { createNode, Link, Node, StreamUse } from '../libp2p/index.ts'
import type { Log } from '../log.ts'
import type { ResolvedOptions } from '../options.ts'
import { BucketTable } from '../rate-limiter/index.ts'
import { DialQueue } from './dial-queue.ts'
import { acceptStream } from './inbound.ts'
import { snapshot } from './inspect.ts'
import {
  BARRED_RECONNECTS,
  DRAIN_LOOK_MS,
  MAX_UNREAD_CONTROL,
  REFUSAL_INTERVAL_MS,
  WINDOW_BYTES
} from './limits.ts'
import { MisbehaviourPolicy } from './misbehaviour.ts'
import { Peers } from './peers.ts'

export interface RuntimeInit {
  privateKey: Uint8Array
  listen: string[]
  /** The application's preference among the addresses of a name. */
  resultOrder: ResultOrder
  options: ResolvedOptions
  clock: Clock
  commands: CommandReader
  events: EventWriter
  dropped: DroppedWriter
  /** Where it tells what happens, and where what anybody can bring about. */
  log: Log
  strangers: Log
  /** Makes the libp2p node. */
  createNode: typeof createNode
  /** Everything is closed; the thread may end. */
  stopped: () => void
}

/** Requests that change something: the allow list. The others only look. */
const CHANGES: ReadonlySet<ControlRequest['method']> = new Set([
  'allow-list.add',
  'allow-list.remove',
  'allow-list.replace',
  'allow-list.allow-all'
])

/**
 * The network side of a P2p: wires node, protocol and channels together. What comes in, and which way it goes:
 *
 * - commands (`drainCommands`): messages to the peer's outbox, dials to the dial queue, partings to the peers;
 * - requests (`request`): the allow list and what it no longer allows; snapshots;
 * - connections (`opened`, `closed`): to the peers, which tell Connected and Disconnected;
 * - streams (`#onStream`): to an inbox, which writes to the receiver channel;
 * - offences (`#charge`, from gater, handshakes, links, inboxes, outboxes): to the misbehaviour policy, which alone cuts off;
 * - the end (`stop`): everything is told and settled before the node is stopped, and nothing after.
 */
export class Runtime implements CommandHandler {
  readonly #init: RuntimeInit
  readonly #allowList: AllowList
  readonly #policy: MisbehaviourPolicy
  readonly #privateKey: PrivateKey
  readonly #peers: Peers
  /** Peers by handle: the text is canonical. */
  readonly #peerIds: string[] = []
  /** Connections that the gater has reported, so that no address is charged twice for one. */
  readonly #denied = new WeakSet<MultiaddrConnection>()
  readonly #dialQueue: DialQueue
  readonly #barredReconnects: BucketTable
  #node: Node | undefined
  #refusalTold = -Infinity
  #stopping = false
  /** More commands wait for the next turn of the event loop. */
  #draining = false

  constructor(init: RuntimeInit) {
    const { options, clock, events } = init
    this.#init = init
    this.#allowList = new AllowList(options.allowList)
    const { capacity, refillPerSecond, costs } = options.rateLimit
    const bucketInit = { capacity, refillPerSecond, clock: clock.now }
    this.#policy = new MisbehaviourPolicy({
      peerBuckets: new BucketTable(bucketInit),
      addressBuckets: new BucketTable(bucketInit),
      costs,
      cutOff: (offender, reason) => this.#cutOff(offender, reason),
      emit: event => events.control(event)
    })
    this.#barredReconnects = new BucketTable({ ...BARRED_RECONNECTS, clock: clock.now })
    this.#privateKey = decodePrivateKey(init.privateKey)
    this.#peers = new Peers({
      self: peerIdFromPrivateKey(init.privateKey),
      clock,
      limits: options.limits,
      allowList: this.#allowList,
      events,
      charge: (cause, peerId, evidence) => this.#charge(cause, { peerId }, evidence),
      claimDials: peer => this.#dialQueue.claim(peer),
      cancelDials: (peerId, reason) => this.#dialQueue.cancel(peerId, reason)
    })
    this.#dialQueue = new DialQueue({
      clock,
      names: new Names({ clock, order: init.resultOrder }),
      timeoutMs: options.limits.handshakeTimeoutMs,
      allowList: this.#allowList,
      isBarred: key => this.#policy.isBarred(key),
      hasRoom: pending => this.#hasRoom(pending),
      peer: peerId => this.#peers.open(peerId),
      node: () => this.#node!,
      admitted: (peer, link, stream) => this.#peers.admit(peer, link, stream),
      done: peer => this.#peers.onRouteChange(peer),
      already: (peer, id) => this.#peers.tellAlready(peer, id),
      silent: peer => this.#peers.endSilent(peer),
      failed: (failure, peerId, id) => events.control({ type: 'Error', ...failure, peerId, id })
    })
  }

  /** Listens; the addresses. @throws whatever libp2p says when an address cannot be bound */
  async start(): Promise<string[]> {
    const { listen, options } = this.#init
    const { limits } = options
    const isBarred = (key: string): boolean => this.#policy.isBarred(key)
    this.#node = await this.#init.createNode({
      privateKey: this.#privateKey,
      listen,
      gater: createGater({
        allowList: this.#allowList,
        isBarred,
        denied: (denial, connection) => this.#onDenied(denial, connection)
      }),
      guard: {
        isBarred,
        hasRoom: pending => this.#hasRoom(pending) && this.#init.events.unreadControl < MAX_UNREAD_CONTROL,
        wasDenied: connection => this.#stopping || this.#denied.has(connection),
        failed: (ip, reason) => this.#charge('failed-handshake', { ip: addressKey(ip) }, reason),
        refused: ip => this.#onRefused(ip)
      },
      clock: this.#init.clock,
      heartbeatMs: options.heartbeatMs,
      handshakeTimeoutMs: limits.handshakeTimeoutMs,
      maxInFlightBytes: Math.max(WINDOW_BYTES, limits.maxMessageBytes),
      opened: link => {
        const { peerId, address, direction } = link
        this.#init.log.debug?.('connection-opened', { peerId, address, direction })
        this.#peers.opened(link)
      },
      closed: link => {
        const { peerId, address } = link
        this.#init.log.debug?.('connection-closed', { peerId, address, ...link.end })
        this.#peers.closed(link)
      },
      stream: (link, stream, use) => this.#onStream(link, stream, use)
    })
    return this.#node.addresses
  }

  /** Whether another connection may be made beside the open ones and `pending` others. */
  #hasRoom(pending: number): boolean {
    return this.#peers.links + pending < this.#init.options.limits.maxConnections
  }

  /** Takes what is on the sender channel. */
  drainCommands(): void {
    // A turn's share has been taken, and the next turn's is arranged for: doorbells in between add nothing to it.
    if (this.#draining) return
    if (!this.#init.commands.drain(this)) return
    this.#draining = true
    setImmediate(() => {
      this.#draining = false
      this.drainCommands()
    })
  }

  peer(handle: number, peerId: string): void {
    this.#peerIds[handle] = peerId
  }

  send(handle: number, frames: Uint8Array, count: number): void {
    if (this.#stopping) return
    const peer = this.#peers.get(this.#peerIds[handle]!)
    if (peer === undefined) {
      this.#init.events.status(handle, 'not-connected', count)
      return
    }
    peer.senderHandle = handle
    peer.sent += count
    peer.bytesSent += frames.length
    peer.outbox.send(frames)
  }

  command(command: PlainCommand): void {
    if (this.#stopping) return
    switch (command.type) {
      case 'Dial':
        this.#init.log.debug?.('dial-begun', {
          peerId: command.peerId,
          addresses: command.addresses.join(' ')
        })
        this.#dialQueue.dial(command)
        break
      case 'DisconnectFrom':
        if (command.peerId !== undefined) this.#peers.disconnect(command.peerId)
        else if (command.drainMs === undefined) void this.stop()
        else this.#drain(this.#init.clock.now() + command.drainMs)
        break
    }
  }

  /**
   * Answers a request. What changes something is done after all that was handed over before it, whose outcomes are told when
   * it returns; what only looks waits for one turn's share of that.
   */
  request(request: ControlRequest): unknown {
    const { commands, log } = this.#init
    if (CHANGES.has(request.method)) {
      log.info?.('allow-list-changed', { how: request.method })
      while (commands.drain(this));
    } else this.drainCommands()
    switch (request.method) {
      case 'allow-list.add':
        this.#allowList.add(request.entry)
        return this.#peers.enforceAllowList()
      case 'allow-list.remove': {
        const removed = this.#allowList.remove(request.peerId)
        this.#peers.enforceAllowList()
        return removed
      }
      case 'allow-list.replace':
        this.#allowList.replace(request.list)
        return this.#peers.enforceAllowList()
      case 'allow-list.allow-all':
        this.#allowList.allowAll(request.on)
        return this.#peers.enforceAllowList()
      case 'allow-list.entries':
        return this.#allowList.entries()
      case 'inspect':
        return this.#snapshot()
    }
  }

  #snapshot(): RuntimeSnapshot {
    const { events, dropped } = this.#init
    return snapshot(this.#peers, this.#policy, events, dropped.total)
  }

  /** Ends when everything that was handed over has its outcome, or the time is over. Peers may come and send as before. */
  #drain(until: number): void {
    const { clock } = this.#init
    const left = until - clock.now()
    if (left <= 0 || (this.#dialQueue.isIdle && this.#peers.isSettled)) void this.stop()
    else clock.after(Math.min(left, DRAIN_LOOK_MS), () => this.#drain(until))
  }

  /** Disconnects everybody and ends. What is unsettled is settled by the application's end as stopped. */
  async stop(): Promise<void> {
    if (this.#stopping) return
    this.#stopping = true
    // First the peers: messages that wait for a dial end as stopped, not by the end of the dial.
    this.#peers.stop()
    this.#dialQueue.cancel(undefined, 'the node is stopping')
    try {
      await this.#node?.stop()
    } finally {
      this.#init.stopped()
    }
  }

  #charge(cause: MisbehaviourCause, offender: Offender, evidence: string): void {
    if (this.#stopping) return
    // An authenticated peer is barred before it can fill the log; addresses are many.
    const { log, strangers } = this.#init
    const to = offender.peerId === undefined ? strangers : log
    to.info?.('charged', { peerId: offender.peerId, ip: offender.ip, cause, evidence })
    this.#policy.report({ cause, offender, evidence })
  }

  #onStream(link: Link, stream: Stream, use: StreamUse): void {
    const peer = this.#peers.get(link.peerId)
    if (peer === undefined || this.#stopping) {
      stream.abort(new Error('not connected'))
      return
    }
    link.use(stream)
    // A peer that opens a stream for its messages has admitted us: Connected is told before what it sends.
    if (!link.admitted) this.#peers.admit(peer, link)
    const { options, clock, events, dropped } = this.#init
    const { maxMessageBytes, messageTimeoutMs, receiverBytes } = options.limits
    acceptStream({
      peer,
      link,
      stream,
      clock,
      limits: { maxMessageBytes, messageTimeoutMs, receiverBytes },
      events,
      dropped,
      use,
      malformed: reason => this.#charge('malformed-message', { peerId: link.peerId }, reason)
    })
  }

  #onDenied(denial: Denial, connection?: MultiaddrConnection): void {
    if (connection !== undefined) this.#denied.add(connection)
    const { reason, direction, peerId, ip } = denial
    if (direction === 'outbound') {
      this.#dialQueue.denied(denial)
      return
    }
    if (ip === undefined) return
    if (reason === 'barred') {
      // The bar was reported when it began. Each reconnect costs a handshake before it shows who it is: the address pays for many.
      if (peerId === undefined || this.#barredReconnects.take(addressKey(ip), 1)) return
      this.#charge(
        'protocol-abuse',
        { ip: addressKey(ip) },
        `${peerId} is barred and connects again and again`
      )
      return
    }
    if (this.#init.events.unreadControl < MAX_UNREAD_CONTROL) {
      this.#init.events.control({
        type: 'Error',
        code: 'ERR_NOT_ALLOWED',
        message: `a connection from ${ip} was turned away: ${denialText(denial)}`,
        ip,
        ...(peerId !== undefined && { peerId })
      })
    }
    // The address pays: the key's owner must not be cut off by somebody who shows up with its name (decisions/0003).
    const cause = reason === 'wrong-address' ? 'ip-mismatch' : 'unknown-peer'
    this.#charge(cause, { ip: addressKey(ip) }, denialText(denial))
  }

  /** Lack of room is told, but not for every connection: whoever causes it must not fill the channel that reports it. */
  #onRefused(ip: string): void {
    const now = this.#init.clock.now()
    if (now - this.#refusalTold < REFUSAL_INTERVAL_MS) return
    this.#refusalTold = now
    const message = `connections are turned away for lack of room, the last one from ${ip}`
    this.#init.events.control({ type: 'Error', code: 'ERR_NOT_ALLOWED', message, ip })
  }

  /** Ends everything a barred offender has here, except what named peers hold from a barred address. */
  #cutOff(offender: Offender, reason: string): void {
    if (offender.peerId !== undefined) this.#peers.hangUp(offender.peerId, reason)
    else this.#node?.endHandshakes(offender.ip, reason)
  }
}
