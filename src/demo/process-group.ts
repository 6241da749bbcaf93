import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { IDLE_TIMEOUT_MS, MAX_STDERR_CHARACTERS } from './limits.ts'
import type { Call, Methods, Progress, Reply } from './participant.ts'

const PROGRAM: string = fileURLToPath(new URL('./participant.js', import.meta.url))
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
 * The processes of a demo: all for one. When one of them fails, a signal arrives, or nothing happens for too long, all
 * are killed, and every call fails with the first of these reasons. No process is left behind: `close` waits for their
 * end, and they notice when this process is gone (participant.ts, event-loop.ts).
 */
export class ProcessGroup {
  readonly #abort = new AbortController()
  readonly #failure: Promise<never>
  readonly #processes: ChildProcess[] = []
  readonly #closed: Array<Promise<void>> = []
  readonly #idle: NodeJS.Timeout
  /** The processes have been asked to end. */
  #stopping = false
  readonly #onSignal = (signal: NodeJS.Signals): void => this.#fail(new Interrupted(signal))
  readonly #onExit = (): void => this.#abort.abort()

  constructor() {
    const { signal } = this.#abort
    this.#failure = once(signal, 'abort').then(() => {
      throw signal.reason
    })
    // Every call awaits it; between two calls nobody does.
    this.#failure.catch(() => {})
    const idle = new Error(`nothing has happened for ${IDLE_TIMEOUT_MS / 1_000} s: giving up`)
    this.#idle = setTimeout(() => this.#fail(idle), IDLE_TIMEOUT_MS)
    for (const name of SIGNALS) process.on(name, this.#onSignal)
    process.on('exit', this.#onExit)
    process.stdout.on('error', ({ message }) =>
      this.#fail(new Error(`cannot write to the standard output: ${message}`))
    )
  }

  /** Starts a process of participant.ts. */
  spawn(name: string): ChildProcess {
    const child = fork(PROGRAM, [name], {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      // Flags meant for the process that the user started (--inspect, --test) are not for this one.
      execArgv: [],
      signal: this.#abort.signal,
      killSignal: 'SIGKILL'
    })
    let stderr = ''
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr = (stderr + text).slice(-MAX_STDERR_CHARACTERS)
    })
    child.on('message', () => this.#idle.refresh())
    child.on('error', err => this.#fail(new Error(`${name}: ${err.message}`, { cause: err })))
    const closed = new Promise<void>(resolve => {
      child.once('close', (code, signal) => {
        resolve()
        if (code === 0 && this.#stopping) return
        const how = signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`
        this.#fail(new Error(`${name} ${how}. ${stderr}`.trim()))
      })
    })
    this.#processes.push(child)
    this.#closed.push(closed)
    return child
  }

  /** Calls a method of a process; one at a time. @throws the first thing that went wrong in any of them */
  async call<M extends keyof Methods>(
    child: ChildProcess,
    method: M,
    params: Parameters<Methods[M]>[0],
    onProgress?: (progress: Progress) => void
  ): Promise<Awaited<ReturnType<Methods[M]>>> {
    // What `spawn` gave it.
    const name = child.spawnargs.at(-1)
    const reply = new Promise<never>((resolve, reject) => {
      const take = (message: Reply): void => {
        if ('progress' in message) return onProgress?.(message.progress)
        child.off('message', take)
        if ('error' in message) reject(new Error(`${name}: ${message.error}`))
        else resolve(message.result as never)
      }
      child.on('message', take)
    })
    // One that cannot be written to is about to end, and its end tells more.
    child.send({ method, params } satisfies Call, () => {})
    return Promise.race([reply, this.#failure])
  }

  /** Ends the processes in an orderly way. @throws the first thing that went wrong in any of them */
  async stop(): Promise<void> {
    this.#stopping = true
    await Promise.all(this.#processes.map(async child => this.call(child, 'stop', undefined)))
    await Promise.race([Promise.all(this.#closed), this.#failure])
  }

  /** Kills the processes that still run, and waits until they are gone. */
  async close(): Promise<void> {
    clearTimeout(this.#idle)
    this.#abort.abort()
    await Promise.all(this.#closed)
    for (const signal of SIGNALS) process.off(signal, this.#onSignal)
    process.off('exit', this.#onExit)
  }

  #fail(err: Error): void {
    // Only the first reason counts.
    this.#abort.abort(err)
  }
}
