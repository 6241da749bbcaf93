import { networkOf, addressKey } from '../addresses/index.ts'

/** Inbound handshakes under way at once, in all and from one address key. */
const MAX_PENDING = 256
const MAX_PENDING_PER_SUBJECT = 64

/** An inbound connection whose handshake is under way. */
export interface Pending {
  readonly ip: string
  readonly subject: string
  readonly network: string
  /** When it came, on the clock that `enter` is told. */
  readonly since: number
  /** Ends the connection. */
  readonly abort: (reason: Error) => void
}

/**
 * The places for handshakes. Whoever comes when all are taken gets that of the oldest handshake from the network with
 * the most of them. So nobody keeps others out by being silent: a handshake takes milliseconds, and to have it given
 * up in that time somebody would have to begin as many as there are places, in as many networks. From one address key
 * there are so many at once, and no more.
 */
export class PendingHandshakes {
  readonly #bySubject = new Map<string, Set<Pending>>()
  /** Oldest first, in each network. */
  readonly #byNetwork = new Map<string, Set<Pending>>()
  #size = 0

  get size(): number {
    return this.#size
  }

  /** The handshakes under way from an address key. */
  of(subject: string): Iterable<Pending> {
    return this.#bySubject.get(subject) ?? []
  }

  /**
   * Takes a place.
   *
   * @param hasRoom whether there is room for a connection beside so many others whose handshake is under way
   * @returns undefined when there is none to be had; else the newcomer, and whose place is taken for it
   */
  enter(
    init: Pick<Pending, 'ip' | 'since' | 'abort'>,
    hasRoom: (pending: number) => boolean
  ): { entered: Pending; evicted: Pending | undefined } | undefined {
    const subject = addressKey(init.ip)
    if ((this.#bySubject.get(subject)?.size ?? 0) >= MAX_PENDING_PER_SUBJECT) return undefined
    const isFull = this.#size >= MAX_PENDING || !hasRoom(this.#size)
    if (isFull && (this.#size === 0 || !hasRoom(this.#size - 1))) return undefined
    const evicted = isFull ? this.#oldestOfMost() : undefined
    if (evicted !== undefined) this.leave(evicted)
    const entered = { ...init, subject, network: networkOf(init.ip) }
    put(this.#bySubject, subject, entered)
    put(this.#byNetwork, entered.network, entered)
    this.#size++
    return { entered, evicted }
  }

  /** Gives a place back, if it has not been given up. */
  leave(pending: Pending): void {
    if (!take(this.#bySubject, pending.subject, pending)) return
    take(this.#byNetwork, pending.network, pending)
    this.#size--
  }

  /** Of networks with equally many, that which has had some for longest. */
  #oldestOfMost(): Pending | undefined {
    let most: Set<Pending> | undefined
    for (const here of this.#byNetwork.values()) if (here.size > (most?.size ?? 0)) most = here
    return most?.values().next().value
  }
}

function put(table: Map<string, Set<Pending>>, key: string, pending: Pending): void {
  const here = table.get(key)
  if (here === undefined) table.set(key, new Set([pending]))
  else here.add(pending)
}

function take(table: Map<string, Set<Pending>>, key: string, pending: Pending): boolean {
  const here = table.get(key)
  if (here?.delete(pending) !== true) return false
  if (here.size === 0) table.delete(key)
  return true
}
