import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duties } from './duties.ts'
import { Member } from './member.ts'

/** The demo must never hang: it fails when nothing has come to pass for so long, in milliseconds. */
const PATIENCE_MS = 120_000
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** The user or the system wants this program to end. */
export class Interrupted extends Error {
  readonly signal: NodeJS.Signals

  constructor(signal: NodeJS.Signals) {
    super(`interrupted by ${signal}`)
    this.signal = signal
  }
}

/**
 * The processes of the demo and their temporary directory: all for one. When one of them fails, a signal arrives, or
 * nothing happens for too long, everything that is being awaited here fails with the first of these reasons. Whatever
 * happens, no process and no file is left behind: `dismiss` sees to it, and if this process ends otherwise, its exit
 * hook does. (If it is killed, the others notice, see `participant.ts`; the directory is there for moments only.)
 */
export class Crew {
  readonly members: Member[] = []
  #directory: string | undefined
  readonly #failure: Promise<never>
  #fail!: (err: Error) => void
  #deadline: NodeJS.Timeout | undefined
  readonly #onSignal = (signal: NodeJS.Signals): void => this.#fail(new Interrupted(signal))
  readonly #onOutputError = (err: Error): void =>
    this.#fail(new Error(`cannot write to the standard output: ${err.message}`))
  readonly #onExit = (): void => this.#clear()

  constructor() {
    this.#failure = new Promise((_, reject) => (this.#fail = reject))
    // Whoever awaits something here hears of it; nobody may be awaiting anything just now.
    this.#failure.catch(() => {})
    for (const signal of SIGNALS) process.on(signal, this.#onSignal)
    process.stdout.on('error', this.#onOutputError)
    process.on('exit', this.#onExit)
    this.carryOn()
  }

  /** Something has come to pass: the patience begins anew. */
  carryOn(): void {
    clearTimeout(this.#deadline)
    this.#deadline = setTimeout(() => {
      this.#fail(new Error(`nothing has happened for ${PATIENCE_MS / 1_000} s: giving up`))
    }, PATIENCE_MS)
  }

  /** Starts one more process. */
  hire(name: string): Member {
    const member = new Member(name, err => this.#fail(err))
    this.members.push(member)
    return member
  }

  /** Has a member perform a duty. @throws the first thing that went wrong with anybody */
  async ask<K extends keyof Duties>(
    member: Member,
    duty: K,
    takes: Duties[K]['takes']
  ): Promise<Duties[K]['gives']> {
    const answer = await Promise.race([member.ask(duty, takes), this.#failure])
    this.carryOn()
    return answer
  }

  /** Everybody may go home. @throws the first thing that went wrong with anybody */
  async leave(): Promise<void> {
    await Promise.all(this.members.map(async member => this.ask(member, 'leave', {})))
    await Promise.race([Promise.all(this.members.map(async member => member.exited)), this.#failure])
  }

  /** A temporary directory of the crew's own. */
  get directory(): string {
    return (this.#directory ??= mkdtempSync(join(tmpdir(), 'bitvmx-p2p-demo-')))
  }

  /** The temporary directory is needed no longer. */
  removeDirectory(): void {
    if (this.#directory !== undefined) rmSync(this.#directory, { recursive: true, force: true })
  }

  /** Ends every process that still runs, and waits until it is gone. */
  async dismiss(): Promise<void> {
    clearTimeout(this.#deadline)
    this.#clear()
    await Promise.all(this.members.map(async member => member.exited))
    for (const signal of SIGNALS) process.off(signal, this.#onSignal)
    process.off('exit', this.#onExit)
  }

  #clear(): void {
    for (const member of this.members) member.kill()
    this.removeDirectory()
  }
}
