import type { Stream } from '@libp2p/interface'
import { ipOfMultiaddr } from '../addresses/index.ts'
import type { AllowList } from '../allow-list/index.ts'
import { messageOf, toPlain } from '../errors.ts'
import type { PlainError } from '../errors.ts'
import type { Denial } from '../gater/index.ts'
import { publicKeyHashOfPeerId } from '../identity/index.ts'
import type { Link, Node } from '../node/index.ts'
import type { DialFailure } from '../outcomes.ts'
import { denialText, DialError, dialPeer } from './dial.ts'
import type { Peer } from './peer.ts'

/** Dials under way at once: each costs a handshake, and one that waits for the CPU would time out unfairly. */
const MAX_PARALLEL_DIALS = 64

export interface DiallerInit {
  timeoutMs: number
  allowList: AllowList
  isBarred: (subject: string) => boolean
  /** Whether another connection may be made beside `pending` others that are under way. */
  hasRoom: (pending: number) => boolean
  peer: (peerId: string) => Peer
  node: () => Node
  /** The remote has admitted us. */
  admitted: (peer: Peer, link: Link, stream: Stream) => void
  /** An attempt is over, well or badly. */
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
  address: string
}

interface Attempt {
  peer: Peer
  address: string
  /** The Dial commands that wait for this attempt. */
  ids: number[]
  controller: AbortController
  denial?: Denial
}

/**
 * Dial commands to connections: one attempt at a time for each peer, the same address only once, and every command
 * answered exactly once. A peer that is connected is asked whether it is there, and dialled only when it does not say so.
 * An attempt that is cancelled is over for the application at once; it keeps its place here
 * until it has let go of what it has opened, because libp2p would take the next dial to that peer for the same one. An
 * attempt is never given up because the peer has connected meanwhile: when both sides dial at the same moment and both
 * did that, none would be connected.
 */
export class Dialler {
  readonly #init: DiallerInit
  readonly #active = new Map<string, Attempt>()
  readonly #waiting: Attempt[] = []
  /** Dials to connected peers, until those have given a sign of life. */
  readonly #asking = new Map<Peer, DialCommand[]>()

  constructor(init: DiallerInit) {
    this.#init = init
  }

  dial(command: DialCommand): void {
    const { peer, failed } = this.#init
    const { id, peerId, address } = command
    const refusal = this.#refusal(peerId, address)
    if (refusal !== undefined) {
      const message = `dial to ${address} denied here: ${refusal}`
      failed(plain(new DialError('denied', message, 'ERR_NOT_ALLOWED'), address), peerId, id)
      return
    }
    const target = peer(peerId)
    if (target.announced) this.#ask(target, command)
    else this.#connect(target, command)
  }

  /** No dial waits for its outcome. */
  get isIdle(): boolean {
    return this.#asking.size === 0 && this.#attempts(undefined).length === 0
  }

  /** The peer is connected: all dials to it have come true. Their ids, the one first that has waited longest. */
  claim(peer: Peer): number[] {
    const asking = this.#asked(peer).map(({ id }) => id)
    return asking.concat(...this.#attempts(peer.peerId).map(({ ids }) => ids.splice(0)))
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

  #connect(peer: Peer, { id, address }: DialCommand): void {
    const same = this.#attempts(peer.peerId).find(attempt => attempt.address === address)
    if (same !== undefined) {
      same.ids.push(id)
      return
    }
    if (!this.#init.hasRoom(this.#active.size)) {
      const message = `dial to ${address} failed: limits.maxConnections is reached here`
      this.#init.failed(plain(new DialError('denied', message), address), peer.peerId, id)
      this.#init.done(peer)
      return
    }
    peer.dials++
    this.#waiting.push({ peer, address, ids: [id], controller: new AbortController() })
    this.#startNext()
  }

  /** Our own gater denied a connection that a dial had made. */
  denied(denial: Denial): void {
    const attempt = denial.expected === undefined ? undefined : this.#active.get(denial.expected)
    if (attempt !== undefined) attempt.denial = denial
  }

  /** Ends the dials to a peer, or all: their commands are answered before it returns. */
  cancel(peerId: string | undefined, reason: string): void {
    const { failed, done } = this.#init
    for (const peer of [...this.#asking.keys()]) {
      if (peerId !== undefined && peer.peerId !== peerId) continue
      for (const { id, address } of this.#asked(peer)) {
        failed(plain(ended(address, reason), address), peer.peerId, id)
      }
      done(peer)
    }
    for (const attempt of this.#attempts(peerId)) {
      const error = ended(attempt.address, reason)
      attempt.controller.abort(error)
      const index = this.#waiting.indexOf(attempt)
      if (index >= 0) this.#waiting.splice(index, 1)
      this.#finish(attempt, error)
    }
  }

  #refusal(peerId: string, address: string): string | undefined {
    const { allowList, isBarred } = this.#init
    const ip = ipOfMultiaddr(address)
    const keyHash = publicKeyHashOfPeerId(peerId)
    const about = { direction: 'outbound', peerId, ...(ip !== undefined && { ip }) } as const
    if (!allowList.mayKnow(peerId, keyHash)) return denialText({ reason: 'unknown-peer', ...about })
    if (ip !== undefined && allowList.foresee(peerId, keyHash, ip) === 'wrong-address') {
      return denialText({ reason: 'wrong-address', ...about })
    }
    return isBarred(peerId) ? denialText({ reason: 'barred', direction: 'outbound', peerId }) : undefined
  }

  /** Those to a peer, or all, that are not cancelled. */
  #attempts(peerId: string | undefined): Attempt[] {
    const all = [...this.#active.values(), ...this.#waiting].filter(isWanted)
    return peerId === undefined ? all : all.filter(attempt => attempt.peer.peerId === peerId)
  }

  #startNext(): void {
    for (let i = 0; i < this.#waiting.length && this.#active.size < MAX_PARALLEL_DIALS;) {
      const attempt = this.#waiting[i]!
      if (this.#active.has(attempt.peer.peerId)) {
        i++
        continue
      }
      this.#waiting.splice(i, 1)
      this.#active.set(attempt.peer.peerId, attempt)
      void this.#run(attempt)
    }
  }

  async #run(attempt: Attempt): Promise<void> {
    const { timeoutMs, node, admitted } = this.#init
    const { peer, address, controller } = attempt
    let failure: unknown
    try {
      // The peer may have connected while this attempt waited for another: then nobody waits for it any more.
      if (attempt.ids.length > 0) {
        const target = { peerId: peer.peerId, address, timeoutMs, signal: controller.signal }
        const { link, stream } = await dialPeer(node(), target, () => attempt.denial)
        if (isWanted(attempt)) admitted(peer, link, stream)
        else link.abort({ code: 'lost', reason: messageOf(controller.signal.reason) })
        if (!link.open) throw new DialError('denied', `dial to ${address} failed: ${link.end.reason}`)
      }
    } catch (err) {
      failure = err
    }
    this.#active.delete(peer.peerId)
    if (isWanted(attempt)) this.#finish(attempt, failure)
    // Not at once: one that needs no connection is over before it returns, and thousands may wait.
    queueMicrotask(() => this.#startNext())
  }

  /** Commands that still wait have not come true: they are told why. */
  #finish(attempt: Attempt, failure: unknown): void {
    const { failed, done } = this.#init
    const { peer, address, ids } = attempt
    const error = plain(failure ?? 'the node is stopping', address)
    for (const id of ids.splice(0)) failed(error, peer.peerId, id)
    peer.dials--
    done(peer)
  }
}

/** What has ended a dial to an address, as it is told. */
function plain(failure: unknown, address: string): PlainDialError {
  const ip = ipOfMultiaddr(address)
  const why = failure instanceof DialError ? failure.why : 'denied'
  return { ...toPlain(failure, 'ERR_DIAL_FAILED'), why, ...(ip !== undefined && { ip }) }
}

function ended(address: string, reason: string): DialError {
  return new DialError('denied', `dial to ${address} ended: ${reason}`)
}

/** Not cancelled: what it comes to is for its commands. */
function isWanted({ controller }: Attempt): boolean {
  return !controller.signal.aborted
}
