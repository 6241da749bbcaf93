import type { Clock } from '../clock.ts'

/** Time of the thread that a connection may take before all others are looked at, in milliseconds. */
const SLICE_MS = 1
/** What a connection has taken counts up to this, in milliseconds: nobody waits for a collection of garbage. */
const MAX_DEBT_MS = 10

/** A connection's part in the thread. */
export interface Share {
  /** What the thread does from now on is done for this connection. */
  enter: () => void
  /** Work has begun that takes about so many milliseconds later in the turn, in microtasks. */
  foresee: (ms: number) => void
  /** Whether it has had its slice in this turn of the event loop. */
  readonly spent: boolean
  /** Nothing more of it is read in this turn; `resume` is called when it is its turn again. */
  wait: (resume: () => void) => void
  /** The connection is gone. */
  leave: () => void
}

/**
 * Divides the thread between connections. Each is read once in a turn of the event loop, for a slice of time at most. Who
 * has had more waits until the others that say something have had as much, each, or none of them says anything. So
 * whatever one of _n_ connections does, the others get all they ask for, up to an _n_-th each. What is done in
 * microtasks is counted with what led to it.
 */
export class FairShare {
  readonly #now: () => number
  readonly #nextTurn: (action: () => void) => void
  /** Whom the thread works for, and since when. */
  #current: Member | undefined
  #since = 0
  /** Who has been read in this turn. */
  readonly #read = new Set<Member>()
  readonly #waiting = new Set<Member>()
  #ticking = false

  constructor(clock: Clock, nextTurn: (action: () => void) => void = setImmediate) {
    this.#now = clock.now
    this.#nextTurn = nextTurn
  }

  /** A connection's share from now on. */
  join(): Share {
    const member = new Member()
    const spent = (): boolean => {
      this.#note(member)
      return member.tookMs + member.foreseenMs >= SLICE_MS
    }
    return {
      enter: () => this.#note(member),
      foresee: ms => (member.foreseenMs += ms),
      get spent() {
        return spent()
      },
      wait: resume => {
        member.resume = resume
        this.#read.add(member)
        this.#tick()
      },
      leave: () => {
        member.resume = undefined
        this.#waiting.delete(member)
      }
    }
  }

  /** Counts the time since the last note for whom the thread worked for, and works for `next` from now on. */
  #note(next: Member | undefined): void {
    const now = this.#now()
    if (this.#current !== undefined) this.#current.tookMs += now - this.#since
    this.#since = now
    this.#current = next
    if (next === undefined) return
    this.#read.add(next)
    this.#tick()
  }

  #tick(): void {
    if (this.#ticking) return
    this.#ticking = true
    this.#nextTurn(() => this.#endTurn())
  }

  /** Everybody has been looked at. */
  #endTurn(): void {
    this.#ticking = false
    this.#note(undefined)
    const due = this.#settle()
    for (const member of due) {
      const { resume } = member
      member.resume = undefined
      resume?.()
    }
    if (this.#waiting.size > 0) this.#tick()
  }

  /** Who waits no longer. */
  #settle(): Member[] {
    const each = this.#granted()
    const due: Member[] = []
    for (const member of this.#waiting) {
      member.debtMs -= each
      if (member.debtMs > 0) continue
      this.#waiting.delete(member)
      due.push(member)
    }
    for (const member of this.#read) {
      member.debtMs = Math.min(MAX_DEBT_MS, member.tookMs)
      member.tookMs = member.foreseenMs = 0
      if (member.resume !== undefined) this.#waiting.add(member)
    }
    this.#read.clear()
    return due
  }

  /** What each of those who are waiting has left to others in this turn. */
  #granted(): number {
    if (this.#read.size === 0) {
      // Nobody has said anything: who has least to wait for waits no longer.
      return Math.min(...[...this.#waiting].map(({ debtMs }) => debtMs))
    }
    let took = 0
    let count = 0
    for (const { tookMs, resume } of this.#read) {
      // Who begins to wait has its turn when the others have waited as long.
      if (resume !== undefined) continue
      took += tookMs
      count++
    }
    return count === 0 ? 0 : took / count
  }
}

class Member {
  /** In this turn. */
  tookMs = 0
  foreseenMs = 0
  /** What others are to have before it is read again. */
  debtMs = 0
  resume: (() => void) | undefined
}
