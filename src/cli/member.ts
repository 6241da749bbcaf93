import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Duties, Progress, Report } from './duties.ts'

/** How much of what a process wrote to its standard error is kept, in characters. */
const KEPT_COMPLAINT = 2_000

/** Who cannot be written to is mostly just ending: how it ends is waited for so long, in milliseconds. */
const ENDING_MS = 2_000

/** One process of the demo, seen from the one that started it. */
export class Member {
  readonly name: string
  readonly pid: number | undefined
  /** Told while a duty lasts. */
  onProgress: (progress: Progress) => void = () => {}
  /** Settles when the process is gone; true: it ended as it should. */
  readonly exited: Promise<boolean>
  readonly #process: ChildProcess
  readonly #fail: (err: Error) => void
  #answer: ((gives: object) => void) | undefined
  #complaint = ''

  /** @param fail told once or more when anything is wrong with the process */
  constructor(name: string, fail: (err: Error) => void) {
    this.name = name
    this.#fail = fail
    const main = fileURLToPath(new URL('./main.js', import.meta.url))
    this.#process = fork(main, ['internal:participant', name], {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      // Flags meant for the process that the user started (--inspect, --test) are not for this one.
      execArgv: []
    })
    this.pid = this.#process.pid
    this.#process.on('message', (report: Report) => this.#take(report))
    this.#process.on('error', err => fail(new Error(`${name}: ${err.message}`, { cause: err })))
    this.#process.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#complaint = (this.#complaint + text).slice(-KEPT_COMPLAINT)
    })
    this.exited = new Promise(resolve => {
      this.#process.once('close', (code, signal) => {
        const ok = code === 0
        if (!ok) {
          const how = signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`
          fail(new Error(`${name} ${how}. ${this.#complaint}`.trim()))
        }
        resolve(ok)
      })
    })
  }

  /** Has the process perform a duty. Never settles when the process fails: `fail` is told instead. */
  async ask<K extends keyof Duties>(duty: K, takes: Duties[K]['takes']): Promise<Duties[K]['gives']> {
    return new Promise(resolve => {
      this.#answer = resolve
      this.#process.send({ duty, takes }, err => {
        if (err !== null) void this.#unreachable(err.message)
      })
    })
  }

  /** Ends the process at once, if it still runs. */
  kill(): void {
    this.#process.kill('SIGKILL')
  }

  /** Tells why the process cannot be reached, unless its end has told more. */
  async #unreachable(why: string): Promise<void> {
    await Promise.race([this.exited, setTimeout(ENDING_MS, undefined, { ref: false })])
    this.#fail(new Error(`${this.name} cannot be reached: ${why}`))
  }

  #take(report: Report): void {
    if ('progress' in report) this.onProgress(report.progress)
    else if ('failed' in report) this.#fail(new Error(`${this.name}: ${report.failed}`))
    else this.#answer?.(report.gives)
  }
}
