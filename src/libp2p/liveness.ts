import type { Cancel, Clock } from '../clock.ts'

/** A peer is asked at most so often while it does not answer, in milliseconds. */
const ASK_INTERVAL_MS = 1_000
/** Heartbeats of silence after which the peer is asked, asked once more, and given up. */
const GIVEN_UP_AFTER = 3

/** What waits to be written on a connection, in bytes. */
export interface Backlog {
  /** What the system has taken, since the connection was made. */
  taken: number
  /** What it has not taken, because the peer has not read enough of what came before. */
  waiting: number
}

export interface LivenessInit {
  clock: Clock
  /** In milliseconds; 0: the peer is only asked when somebody wants to know. */
  heartbeatMs: number
  /** When bytes of the peer last arrived, on the clock. */
  lastReceivedAt: () => number
  /** Calls the action once when the next bytes have arrived. */
  whenHeard: (action: () => void) => Cancel
  backlog: () => Backlog
  /** Asks the peer for a sign of life. */
  probe: () => void
  /** Nothing was heard for three heartbeats. Called once, and nothing behind it. */
  silent: () => void
}

/**
 * Judges one connection by what is heard on it, and by nothing that this side does (docs/decisions/0013). Silence for
 * one heartbeat, and for two: the peer is asked for a sign of life; any bytes are one. For three: it is gone. Two things are
 * not its silence. What this side has written may lie before the question: as long as the system goes on taking what
 * waits, the peer reads. And a timer that goes off late tells of a machine that was paused, or a thread that was busy:
 * then the peer is asked again, and given the time again.
 */
export class Liveness {
  readonly #init: LivenessInit
  /** Silence is counted from here, if nothing has been heard since. */
  #excusedAt = 0
  #backlog: Backlog = { taken: 0, waiting: 0 }
  /** The peer has been asked and not been heard since. */
  #asked: Cancel | undefined
  #askedAt = -Infinity
  #cancelTimer: Cancel | undefined
  readonly #confirmations = new Set<(alive: boolean) => void>()
  #over = false

  constructor(init: LivenessInit) {
    this.#init = init
    if (init.heartbeatMs > 0) this.#lookIn(init.heartbeatMs)
  }

  /** The peer has been asked and has not been heard since. */
  get unanswered(): boolean {
    return this.#asked !== undefined
  }

  /** Asks the peer for a sign of life now, unless it has just been asked. */
  ask(): void {
    const { clock, whenHeard, probe } = this.#init
    const now = clock.now()
    if (this.#over || (this.#asked !== undefined && now - this.#askedAt < ASK_INTERVAL_MS)) return
    this.#askedAt = now
    this.#asked ??= whenHeard(() => (this.#asked = undefined))
    probe()
  }

  /** Whether the peer is there: true as soon as it is heard, false when it is not in time, or the connection ends. */
  async confirm(withinMs: number): Promise<boolean> {
    const { clock, whenHeard } = this.#init
    if (this.#over) return false
    return new Promise(resolve => {
      const settle = (alive: boolean): void => {
        cancelHearing()
        cancelTimer()
        this.#confirmations.delete(settle)
        resolve(alive)
      }
      const cancelHearing = whenHeard(() => settle(true))
      const cancelTimer = clock.after(withinMs, () => settle(false))
      this.#confirmations.add(settle)
      this.ask()
    })
  }

  /** The connection has ended. */
  stop(): void {
    this.#over = true
    this.#cancelTimer?.()
    this.#asked?.()
    for (const settle of this.#confirmations) settle(false)
  }

  #lookIn(ms: number): void {
    const { clock } = this.#init
    const due = clock.now() + ms
    this.#cancelTimer = clock.after(ms, () => this.#look(clock.now() - due))
  }

  /** One timer a connection, which is put off when it goes off: what arrives costs nothing here. */
  #look(lateMs: number): void {
    const { clock, heartbeatMs, lastReceivedAt, silent } = this.#init
    const now = clock.now()
    if (this.#hasMoved()) this.#excusedAt = now
    if (lateMs > heartbeatMs / 2) this.#excusedAt = Math.max(this.#excusedAt, now - heartbeatMs)
    const quietMs = now - Math.max(lastReceivedAt(), this.#excusedAt)
    const heartbeats = Math.floor(quietMs / heartbeatMs)
    if (heartbeats >= GIVEN_UP_AFTER) {
      this.stop()
      silent()
      return
    }
    if (heartbeats > 0) this.ask()
    this.#lookIn(Math.max(1, (heartbeats + 1) * heartbeatMs - quietMs))
  }

  /** Whether the system has taken some of what waited when this was last asked. */
  #hasMoved(): boolean {
    const before = this.#backlog
    this.#backlog = this.#init.backlog()
    return before.waiting > 0 && this.#backlog.taken > before.taken
  }
}
