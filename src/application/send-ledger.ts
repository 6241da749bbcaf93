/**
 * The application's ledgers: which messages it has handed over and not yet seen settled. They give every Status its id,
 * bound what a peer can be owed, and make it possible to settle everything when the runtime is gone.
 */
import { MAX_IDLE_LEDGERS } from './limits.ts'

/** Limits of one peer's share of the sender channel. */
export interface LedgerLimits {
  /** Unsettled messages, at least 1. */
  messages: number
  /** Their payload bytes. */
  bytes: number
}

/** One peer's unsettled messages, oldest first. */
export class SendLedger {
  readonly peerId: string
  /** The peer's number in the records of both directions. */
  readonly handle: number
  #ids = new Float64Array(16)
  #sizes = new Int32Array(16)
  #head = 0
  count = 0
  bytes = 0

  constructor(peerId: string, handle: number) {
    this.peerId = peerId
    this.handle = handle
  }

  /** Notes an accepted message. */
  add(id: number, size: number): void {
    if (this.count === this.#ids.length) this.#grow()
    const at = (this.#head + this.count) & (this.#ids.length - 1)
    this.#ids[at] = id
    this.#sizes[at] = size
    this.count++
    this.bytes += size
  }

  /** Strikes the oldest message out; its id. */
  settle(): number {
    const id = this.#ids[this.#head]!
    this.bytes -= this.#sizes[this.#head]!
    this.#head = (this.#head + 1) & (this.#ids.length - 1)
    this.count--
    return id
  }

  /** Doubles the rings; their length stays a power of two, so that a mask wraps the index. */
  #grow(): void {
    const length = this.#ids.length
    const ids = new Float64Array(length * 2)
    const sizes = new Int32Array(length * 2)
    for (let i = 0; i < this.count; i++) {
      ids[i] = this.#ids[(this.#head + i) & (length - 1)]!
      sizes[i] = this.#sizes[(this.#head + i) & (length - 1)]!
    }
    this.#ids = ids
    this.#sizes = sizes
    this.#head = 0
  }
}

/** All ledgers, by the text the application uses for the peer and by number. */
export class SendLedgers {
  /** By peer ID as the application wrote it: several spellings may lead to one ledger. */
  readonly #byText = new Map<string, SendLedger>()
  readonly #byPeerId = new Map<string, SendLedger>()
  readonly #byHandle: Array<SendLedger | undefined> = []

  /** The ledger of a peer, if the application has named it so before. */
  find(text: string): SendLedger | undefined {
    return this.#byText.get(text)
  }

  /** The ledger with that number. */
  at(handle: number): SendLedger {
    const ledger = this.#byHandle[handle]
    if (ledger === undefined) throw new RangeError(`no peer has the number ${handle}`)
    return ledger
  }

  /**
   * The ledger of `peerId` (canonical), from now on also found under `text`. `introduce` is called first when the ledger
   * is new, with the number that means this peer from now on.
   */
  open(text: string, peerId: string, introduce: (handle: number) => void): SendLedger {
    let ledger = this.#byPeerId.get(peerId)
    if (ledger === undefined) {
      const handle = this.#freeHandle()
      introduce(handle)
      ledger = new SendLedger(peerId, handle)
      this.#byHandle[handle] = ledger
      this.#byPeerId.set(peerId, ledger)
    }
    if (this.#byText.size >= 2 * MAX_IDLE_LEDGERS) this.#byText.clear()
    this.#byText.set(text, ledger)
    return ledger
  }

  /** Every ledger that still has unsettled messages. */
  *unsettled(): Generator<SendLedger> {
    for (const ledger of this.#byPeerId.values()) if (ledger.count > 0) yield ledger
  }

  #freeHandle(): number {
    if (this.#byPeerId.size >= MAX_IDLE_LEDGERS) {
      for (const ledger of this.#byPeerId.values()) {
        if (ledger.count > 0) continue
        this.#byPeerId.delete(ledger.peerId)
        this.#byText.clear()
        return ledger.handle
      }
    }
    return this.#byHandle.length
  }
}
