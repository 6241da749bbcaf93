import type { Stream } from '@libp2p/interface'
import { ipOfMultiaddr } from '../addresses/index.ts'
import type { AllowList } from '../allow-list/index.ts'
import type { Clock } from '../clock.ts'
import { messageOf, toPlain } from '../errors.ts'
import type { PlainError } from '../errors.ts'
import { denialText } from '../gater/index.ts'
import type { Denial } from '../gater/index.ts'
import { publicKeyHashOfPeerId } from '../identity/index.ts'
import type { Names } from '../names/index.ts'
import type { Link, Node } from '../libp2p/index.ts'
import type { DialFailure } from '../outcomes.ts'
import { Places } from '../places.ts'
import { DialError, dialPeer } from './dial-attempt.ts'
import { MAX_PARALLEL_DIALS } from './limits.ts'
import { lost } from './link-ends.ts'
import type { Peer } from './peer.ts'

export interface DialQueueInit {
  clock: Clock
  names: Names
  timeoutMs: number
  allowList: AllowList
  isBarred: (key: string) => boolean
  /** Whether another connection may be made beside `pending` others that are under way. */
  hasRoom: (pending: number) => boolean
  peer: (peerId: string) => Peer
  node: () => Node
  /** The remote has admitted us. */
  admitted: (peer: Peer, link: Link, stream: Stream) => void
  /** A dial is over, well or badly. */
  done: (peer: Peer) => void
  /** The peer of a dial is reachable already. */
  already: (peer: Peer, id: number) => void
  /** A connected peer has given no sign of life when it was asked for one: its connections end. */
  silent: (peer: Peer) => void
  failed: (failure: PlainDialError, peerId: string, id: number) => void
}

/** A dial's failure as it is told. */
export type PlainDialError = PlainError & { why: DialFailure; ip?: string }

interface DialCommand {
  id: number
  peerId: string
  addresses: string[]
}

interface PendingDial {
  peer: Peer
  addresses: string[]
  /** The Dial commands that wait for this dial. */
  ids: number[]
  controller: AbortController
  denial?: Denial
}

/**
 * Dial commands to connections: one dial at a time to each peer, the same addresses only once, and every command
 * answered exactly once. The stages of a command, in order:
 *
 * 1. `dial` refuses what the allow list or a bar forbids;
 * 2. `#ask`: a peer that is connected is asked whether it is there, and dialled only when it does not say so;
 * 3. `#connect`: the command joins a dial to the same addresses, or becomes a dial that waits its turn;
 * 4. `#run`: the dial connects (dial-attempt.ts) and the peer admits this node, or it fails;
 * 5. `claim` or `#finish`: its commands are answered, by the connection or by the failure.
 *
 * A dial that is cancelled is over for the application at once; it keeps its place here until it has let go of what it
 * has opened, because libp2p would take the next dial to that peer for the same one. A dial is never given up because the
 * peer has connected meanwhile: when both sides dial at the same moment and both did that, none would be connected.
 */
export class DialQueue {
  readonly #init: DialQueueInit
  readonly #active = new Map<string, PendingDial>()
  readonly #waiting: PendingDial[] = []
  /** Dials to connected peers, until those have given a sign of life. */
  readonly #asking = new Map<Peer, DialCommand[]>()
  /** Taken while a dial connects; those that only wait for a name take none. */
  readonly #places = new Places(MAX_PARALLEL_DIALS)

  constructor(init: DialQueueInit) {
    this.#init = init
  }

  dial(command: DialCommand): void {
    const { peer, failed } = this.#init
    const { id, peerId, addresses } = command
    const refusal = this.#refusal(peerId, addresses)
    if (refusal !== undefined) {
      const message = `dial to ${named(addresses)} denied here: ${refusal}`
      failed(plain(new DialError('denied', message, 'ERR_NOT_ALLOWED'), addresses), peerId, id)
      return
    }
    const target = peer(peerId)
    if (target.announced) this.#ask(target, command)
    else this.#connect(target, command)
  }

  /** No dial waits for its outcome. */
  get isIdle(): boolean {
    return this.#asking.size === 0 && this.#pendingTo(undefined).length === 0
  }

  /** The peer is connected: all dials to it have come true. Their ids, the one first that has waited longest. */
  claim(peer: Peer): number[] {
    const asking = this.#asked(peer).map(({ id }) => id)
    return asking.concat(...this.#pendingTo(peer.peerId).map(({ ids }) => ids.splice(0)))
  }

  /** A peer that is connected may be gone without a word: it is asked first. */
  #ask(peer: Peer, command: DialCommand): void {
    const known = this.#asking.get(peer)
    if (known !== undefined) {
      known.push(command)
      return
    }
    const asking = [command]
    this.#asking.set(peer, asking)
    peer.dials++
    void peer.confirmAlive(this.#init.timeoutMs).then(alive => {
      // Claimed or cancelled meanwhile, and perhaps asked for anew.
      if (this.#asking.get(peer) !== asking) return
      const { already, silent } = this.#init
      if (alive && peer.preferred !== undefined) for (const { id } of this.#asked(peer)) already(peer, id)
      else {
        silent(peer)
        for (const one of this.#asked(peer)) this.#connect(peer, one)
      }
      this.#init.done(peer)
    })
  }

  /** Takes the dials that wait for a sign of life of the peer. */
  #asked(peer: Peer): DialCommand[] {
    const commands = this.#asking.get(peer)
    if (commands === undefined) return []
    this.#asking.delete(peer)
    peer.dials--
    return commands
  }

  #connect(peer: Peer, { id, addresses }: DialCommand): void {
    const same = this.#pendingTo(peer.peerId).find(pending => isSame(pending.addresses, addresses))
    if (same !== undefined) {
      same.ids.push(id)
      return
    }
    if (!this.#init.hasRoom(this.#places.taken)) {
      const message = `dial to ${named(addresses)} failed: limits.maxConnections is reached here`
      this.#init.failed(plain(new DialError('denied', message), addresses), peer.peerId, id)
      this.#init.done(peer)
      return
    }
    peer.dials++
    this.#waiting.push({ peer, addresses, ids: [id], controller: new AbortController() })
    this.#startNext()
  }

  /** Our own gater denied a connection that a dial had made. */
  denied(denial: Denial): void {
    const pending = denial.expected === undefined ? undefined : this.#active.get(denial.expected)
    if (pending !== undefined) pending.denial = denial
  }

  /** Ends the dials to a peer, or all: their commands are answered before it returns. */
  cancel(peerId: string | undefined, reason: string): void {
    const { failed, done } = this.#init
    for (const peer of [...this.#asking.keys()]) {
      if (peerId !== undefined && peer.peerId !== peerId) continue
      for (const { id, addresses } of this.#asked(peer)) {
        failed(plain(ended(addresses, reason), addresses), peer.peerId, id)
      }
      done(peer)
    }
    for (const pending of this.#pendingTo(peerId)) {
      const error = ended(pending.addresses, reason)
      pending.controller.abort(error)
      const index = this.#waiting.indexOf(pending)
      if (index >= 0) this.#waiting.splice(index, 1)
      this.#finish(pending, error)
    }
  }

  #refusal(peerId: string, addresses: string[]): string | undefined {
    const { allowList, isBarred } = this.#init
    const about = { direction: 'outbound', peerId } as const
    if (!allowList.mayKnow(peerId, publicKeyHashOfPeerId(peerId))) {
      return denialText({ reason: 'unknown-peer', ...about })
    }
    const misplaced = addresses.map(address => this.#misplaced(peerId, ipOfMultiaddr(address)))
    if (!misplaced.includes(undefined)) return misplaced.join('; ')
    return isBarred(peerId) ? denialText({ reason: 'barred', ...about }) : undefined
  }

  /** Why the allow list has the peer nowhere near this IP; undefined where it may be, or where the IP is not known yet. */
  #misplaced(peerId: string, ip: string | undefined): string | undefined {
    if (ip === undefined) return undefined
    const verdict = this.#init.allowList.foresee(peerId, publicKeyHashOfPeerId(peerId), ip)
    if (verdict !== 'wrong-address') return undefined
    return denialText({ reason: verdict, direction: 'outbound', peerId, ip })
  }

  /** Those to a peer, or all, that are not cancelled. */
  #pendingTo(peerId: string | undefined): PendingDial[] {
    const all = [...this.#active.values(), ...this.#waiting].filter(isWanted)
    return peerId === undefined ? all : all.filter(pending => pending.peer.peerId === peerId)
  }

  #startNext(): void {
    for (let i = 0; i < this.#waiting.length;) {
      const pending = this.#waiting[i]!
      if (this.#active.has(pending.peer.peerId)) {
        i++
        continue
      }
      this.#waiting.splice(i, 1)
      this.#active.set(pending.peer.peerId, pending)
      void this.#run(pending)
    }
  }

  async #run(pending: PendingDial): Promise<void> {
    const { clock, names, timeoutMs, node, admitted } = this.#init
    const { peer, addresses, controller } = pending
    const { peerId } = peer
    let failure: unknown
    try {
      // The peer may have connected while this dial waited for another: then nobody waits for it any more.
      if (pending.ids.length > 0) {
        const init = {
          clock,
          node: node(),
          names,
          places: this.#places,
          forbids: (ip: string) => this.#misplaced(peerId, ip),
          takeDenial: () => takeDenial(pending)
        }
        const target = { peerId, addresses, timeoutMs, signal: controller.signal }
        const { link, stream } = await dialPeer(init, target)
        if (isWanted(pending)) admitted(peer, link, stream)
        else link.abort(lost(messageOf(controller.signal.reason)))
        if (!link.open)
          throw new DialError('denied', `dial to ${named(addresses)} failed: ${link.end.reason}`)
      }
    } catch (err) {
      failure = err
    }
    this.#active.delete(peerId)
    if (isWanted(pending)) this.#finish(pending, failure)
    // Not at once: one that needs no connection is over before it returns, and thousands may wait.
    queueMicrotask(() => this.#startNext())
  }

  /** Commands that still wait have not come true: they are told why. */
  #finish(pending: PendingDial, failure: unknown): void {
    const { failed, done } = this.#init
    const { peer, addresses, ids } = pending
    const error = plain(failure ?? 'the node is stopping', addresses)
    for (const id of ids.splice(0)) failed(error, peer.peerId, id)
    peer.dials--
    done(peer)
  }
}

/** What has ended a dial, as it is told. */
function plain(failure: unknown, addresses: string[]): PlainDialError {
  const { why, ip = onlyIp(addresses) } =
    failure instanceof DialError ? failure : { why: 'denied' as const, ip: undefined }
  return { ...toPlain(failure, 'ERR_DIAL_FAILED'), why, ...(ip !== undefined && { ip }) }
}

function ended(addresses: string[], reason: string): DialError {
  return new DialError('denied', `dial to ${named(addresses)} ended: ${reason}`)
}

function onlyIp(addresses: string[]): string | undefined {
  return addresses.length === 1 ? ipOfMultiaddr(addresses[0]!) : undefined
}

/** Addresses as a message names them. */
function named([first, ...others]: string[]): string {
  return others.length === 0 ? first! : `${first} and ${others.length} more`
}

/** The same addresses, in whatever order; none is there twice. */
function isSame(some: string[], others: string[]): boolean {
  return some.length === others.length && some.every(address => others.includes(address))
}

function takeDenial(pending: PendingDial): Denial | undefined {
  const { denial } = pending
  delete pending.denial
  return denial
}

/** Not cancelled: what it comes to is for its commands. */
function isWanted({ controller }: PendingDial): boolean {
  return !controller.signal.aborted
}
