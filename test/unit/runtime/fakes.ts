import type { Stream } from '@libp2p/interface'
import { AllowList } from '../../../src/allow-list/index.ts'
import type { AllowListContent } from '../../../src/allow-list/index.ts'
import type { ControlEvent } from '../../../src/bridge/types.ts'
import type { Names } from '../../../src/names/index.ts'
import type { Link, LinkEnd } from '../../../src/libp2p/link.ts'
import type { Node } from '../../../src/libp2p/node.ts'
import { resolveOptions } from '../../../src/options.ts'
import type { Limits } from '../../../src/options.ts'
import { DialQueue } from '../../../src/runtime/dial-queue.ts'
import type { Peer } from '../../../src/runtime/peer.ts'
import { Peers } from '../../../src/runtime/peers.ts'
import type { PeersInit } from '../../../src/runtime/peers.ts'
import { ALICE } from '../allow-list/names.ts'
import { deferred, FakeClock, Listeners, TestStream, turn } from '../protocol/support.ts'
import type { Deferred } from '../protocol/support.ts'

/** A connection without a network: what `Peers` and `DialQueue` see of one. */
export class FakeLink {
  readonly keyHash = '00'.repeat(32)
  ip: string | undefined = '127.0.0.1'
  readonly address = '/ip4/127.0.0.1/tcp/4001'
  readonly peerId: string
  readonly direction: 'inbound' | 'outbound'
  readonly streams: TestStream[] = []
  /** Message streams that the peer has not agreed to yet. */
  readonly openings: Array<Deferred<Stream>> = []
  admitted: boolean
  open = true
  end: LinkEnd = { code: 'lost', reason: 'the connection ended' }
  fault: Link['fault']
  begunAt: number | undefined
  openedAt = 0
  lastUsedAt = 0
  lastReceivedAt = 0
  unanswered = false
  inboundStreams = 0
  memory: Link['memory']
  /** What comes of a question whether the peer is there. */
  alive: Promise<boolean> | undefined
  readonly #listeners = new Listeners()
  readonly #ended: (link: FakeLink) => void

  constructor(peerId: string, direction: 'inbound' | 'outbound', ended: (link: FakeLink) => void) {
    this.peerId = peerId
    this.direction = direction
    this.admitted = direction === 'inbound'
    this.begunAt = direction === 'inbound' ? Date.now() : undefined
    this.#ended = ended
  }

  get messageStreams(): number {
    return this.streams.length
  }

  carries(stream: Stream): boolean {
    return this.streams.includes(stream as TestStream)
  }

  ask(): void {}

  whenHeard(action: () => void): () => void {
    return this.#listeners.add(action)
  }

  /** Bytes of the peer arrive. */
  hear(now: number): void {
    this.lastReceivedAt = now
    this.#listeners.tell()
  }

  use(stream: Stream): void {
    this.streams.push(stream as TestStream)
  }

  confirmAlive = async (): Promise<boolean> => this.alive ?? this.open

  openStream = async (): Promise<Stream> => {
    const opening = deferred<Stream>()
    this.openings.push(opening)
    return opening.promise
  }

  /** The peer agrees to the first stream that waits, or does not. */
  answer(agrees: boolean): void {
    const opening = this.openings.shift()
    if (opening === undefined) return
    if (!agrees || !this.open) {
      opening.reject(new Error('the stream was reset'))
      return
    }
    const stream = new TestStream()
    this.streams.push(stream)
    opening.resolve(stream)
  }

  close = async (end: LinkEnd): Promise<void> => this.abort(end)

  abort(end: LinkEnd): void {
    if (!this.open) return
    this.open = false
    this.end = end
    for (const stream of this.streams.splice(0)) stream.receiveReset()
    while (this.openings.length > 0) this.answer(false)
    this.#ended(this)
  }
}

/** A dial of the node's that the test brings to its end. */
interface Knock {
  peerId: string
  result: Deferred<FakeLink>
}

export interface FakeNetworkInit {
  list?: AllowListContent
  limits?: Partial<Limits>
}

/** Peers and dialler as the runtime puts them together, on a network and a clock that are the test's. */
export class FakeNetwork {
  readonly clock = new FakeClock()
  readonly events: ControlEvent[] = []
  readonly statuses: Array<{ outcome: string | undefined; count: number }> = []
  /** How many events had been told at each of those. */
  readonly toldAtStatus: number[] = []
  readonly links: FakeLink[] = []
  readonly knocks: Knock[] = []
  /** Peers that have been asked for a sign of life, and have not answered. */
  readonly asked: Array<{ peer: Peer; result: Deferred<boolean> }> = []
  /** What was charged, to whom, and on what evidence. */
  readonly charges: string[] = []
  /** Handles on the receiver channel that are in use, by peer. */
  readonly handles = new Map<number, string>()
  /** Handles that were given back. */
  readonly retired: number[] = []
  /** Peer IDs and address keys that are barred. */
  readonly barred = new Set<string>()
  /** Whether there is room for a connection beside so many others. */
  hasRoom: (pending: number) => boolean = () => true
  /** Addresses are IPs, unless a test says otherwise. */
  readonly names = {} as Pick<Names, 'resolve'> as Names
  readonly allowList: AllowList
  readonly peers: Peers
  readonly dialler: DialQueue
  #handles = 0

  constructor({ list = 'allow-all', limits: given = {} }: FakeNetworkInit = {}) {
    const { limits } = resolveOptions({ limits: { handshakeTimeoutMs: 1_000_000, ...given } })
    const allowList = new AllowList(list)
    this.allowList = allowList
    const init = {
      self: ALICE,
      clock: this.clock,
      limits,
      allowList,
      events: {
        introduce: (peerId: string) => {
          this.handles.set(this.#handles, peerId)
          return this.#handles++
        },
        retire: (handle: number) => {
          this.retired.push(handle)
          this.handles.delete(handle)
        },
        control: (event: ControlEvent) => this.events.push(event),
        status: (_: number, outcome: string | undefined, count: number) => {
          this.statuses.push({ outcome, count })
          this.toldAtStatus.push(this.events.length)
        }
      },
      charge: (cause: string, peerId: string, evidence: string) =>
        this.charges.push(`${peerId} ${cause}: ${evidence}`),
      claimDials: (peer: Peer) => this.dialler.claim(peer),
      cancelDials: (peerId: string, reason: string) => this.dialler.cancel(peerId, reason)
    }
    this.peers = new Peers(init as unknown as PeersInit)
    this.dialler = new DialQueue({
      clock: this.clock,
      names: this.names,
      timeoutMs: limits.handshakeTimeoutMs,
      allowList,
      isBarred: key => this.barred.has(key),
      hasRoom: pending => this.hasRoom(pending),
      peer: peerId => this.#peer(peerId),
      node: () => ({ open: this.#open, dial: this.#dial }) as unknown as Node,
      admitted: (peer, link, stream) => this.peers.admit(peer, link, stream),
      done: peer => this.peers.onRouteChange(peer),
      already: (peer, id) => this.peers.tellAlready(peer, id),
      silent: peer => this.peers.endSilent(peer),
      failed: (failure, peerId, id) => this.events.push({ type: 'Error', ...failure, peerId, id })
    })
  }

  /** The peer connects. */
  accept(peerId: string, about: Partial<FakeLink> = {}): FakeLink {
    const link = Object.assign(this.#link(peerId, 'inbound'), about)
    this.peers.opened(link as unknown as Link)
    return link
  }

  /** The oldest dial under way reaches its peer, or does not. */
  reach(succeeds: boolean): void {
    const knock = this.knocks.shift()
    if (knock === undefined) return
    if (!succeeds) {
      knock.result.reject(Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }))
      return
    }
    const link = this.#link(knock.peerId, 'outbound')
    this.peers.opened(link as unknown as Link)
    knock.result.resolve(link)
  }

  /** This node and the peer dial at the same moment: both connections stand. The dial has the number 1. */
  async dialBoth(peerId: string): Promise<void> {
    this.dialler.dial({ id: 1, peerId, addresses: ['/ip4/127.0.0.1/tcp/1'] })
    await turn()
    this.accept(peerId)
    this.reach(true)
    await turn()
    this.links[1]!.answer(true)
    await turn()
  }

  #peer(peerId: string): Peer {
    const peer = this.peers.open(peerId)
    peer.confirmAlive = async () => {
      const result = deferred<boolean>()
      this.asked.push({ peer, result })
      return result.promise
    }
    return peer
  }

  /** Every address answers at once: what counts here comes behind it. */
  #open = async (_: string, peerId: string): Promise<unknown> => ({ peerId, connection: { abort: () => {} } })

  /** One that is given up lets go when its turn has come. */
  #dial = async ({ peerId }: { peerId: string }): Promise<FakeLink> => {
    const result = deferred<FakeLink>()
    this.knocks.push({ peerId, result })
    return result.promise
  }

  #link(peerId: string, direction: 'inbound' | 'outbound'): FakeLink {
    const link = new FakeLink(peerId, direction, ended => {
      this.links.splice(this.links.indexOf(ended), 1)
      this.peers.closed(ended as unknown as Link)
    })
    this.links.push(link)
    return link
  }
}
