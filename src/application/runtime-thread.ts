import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads'
import type { MessagePort, Worker } from 'node:worker_threads'
import { createControlBlock, DOORBELL, hasEnded, RuntimeState, Word } from '../bridge/index.ts'
import type {
  ControlBlock,
  ControlRequest,
  QueueNotice,
  ReplyMessage,
  RuntimeData,
  StartedMessage,
  ToApplication,
  ToRuntime
} from '../bridge/index.ts'
import { P2pError } from '../errors.ts'
import { clearTimeout, now, setTimeout, soon } from '../intrinsics.ts'
import type { LogRecord } from '../log.ts'
import { plainly, startWorker } from './crossing.ts'
import { Lifeline } from './lifeline.ts'
import { LOOK_MS, PROBE_MS, SILENCE_MS, START_SLICE_MS, WAIT_SLICE_MS } from './limits.ts'

const SILENT = `it has not answered for ${SILENCE_MS} ms`

export interface RuntimeThreadInit {
  data: Omit<RuntimeData, 'control'>
  /** Another place of the thread's file than the usual one, as a URL. */
  workerUrl: string | undefined
  /** A queue has a new segment. */
  segment: (notice: QueueNotice) => void
  /** The thread has written records of the log. */
  log: (records: LogRecord[]) => void
  /** An awaited channel may have something to read, or the runtime has ended. */
  wake: () => void
  /** The thread died without saying so; the control block says failed already. */
  died: (err: P2pError) => void
}

interface Pending {
  resolve: (value: unknown) => void
  reject: (err: P2pError) => void
}

/** The application's handle on the runtime thread: its port, its life, and questions to it, blocking or not. */
export class RuntimeThread {
  readonly control: ControlBlock = createControlBlock()
  /** Settles when the thread is gone. */
  readonly closed: Promise<void>
  readonly #init: RuntimeThreadInit
  readonly #worker: Worker
  readonly #port: MessagePort
  readonly #lifeline = new Lifeline()
  readonly #pending = new Map<number, Pending>()
  #started: StartedMessage['started'] | undefined
  #onStarted: (() => void) | undefined
  #lastRequest = 0
  /** How many callers await something on the event loop: while there are any, the process is kept alive. */
  #awaited = 0
  #silentMs = 0
  #lookedAt = now()
  #probedAt = now()

  constructor(init: RuntimeThreadInit) {
    this.#init = init
    const { port1, port2 } = new MessageChannel()
    this.#port = port1
    const data: RuntimeData = { ...init.data, control: this.control }
    this.#worker = startWorker({ port: port2, data, lifeline: this.#lifeline.farEnd }, init.workerUrl)
    this.#worker.unref()
    this.#worker.on('error', err => this.#die(`it threw: ${err.message}`))
    this.closed = new Promise(resolve => {
      this.#worker.once('exit', () => {
        this.#lost()
        this.#port.close()
        init.wake()
        resolve()
      })
    })
    port1.on('message', (message: ToApplication) => this.#take(message))
    port1.unref()
  }

  /** Hands a message to the thread. */
  post(message: ToRuntime): void {
    this.#port.postMessage(message)
  }

  /** Takes in segment notices that have arrived, without a turn of the event loop. */
  fetch(): void {
    this.#drainPort()
  }

  /** Blocks until the thread listens. @throws P2pError what kept it from that */
  waitUntilStarted(): string[] {
    this.#blockFor(() => this.#started, START_SLICE_MS)
    // It hangs, and must not go on to listen when nobody has a handle on it.
    if (this.#started === undefined) {
      this.#die(hasEnded(this.control) ? 'it ended before it listened' : SILENT)
    }
    return this.#addresses(this.#started!)
  }

  /** The same on the event loop. */
  async untilStarted(): Promise<string[]> {
    this.keepAlive(1)
    const timer = setTimeout(() => {
      // When this thread was busy for long, what the other one said meanwhile is heard before it is judged.
      this.#drainPort()
      if (this.#started === undefined) this.#die(SILENT)
    }, SILENCE_MS)
    try {
      await new Promise<void>(resolve => {
        this.#onStarted = resolve
        if (this.#started !== undefined) resolve()
      })
    } finally {
      clearTimeout(timer)
      this.keepAlive(-1)
    }
    return this.#addresses(this.#started!)
  }

  /** Asks and blocks for the answer. @throws P2pError the answer's error, ERR_CLOSED, ERR_RUNTIME_FAILED */
  request(body: ControlRequest): unknown {
    let reply: { value: unknown } | { error: P2pError } | undefined
    this.#ask(body, {
      resolve: value => (reply = { value }),
      reject: error => (reply = { error })
    })
    this.#blockFor(() => reply)
    if (reply === undefined) throw failed(SILENT)
    if ('error' in reply) throw reply.error
    return reply.value
  }

  /** Asks and awaits the answer. */
  async requestAsync(body: ControlRequest): Promise<unknown> {
    this.keepAlive(1)
    try {
      return await new Promise((resolve, reject) => this.#ask(body, { resolve, reject }))
    } finally {
      this.keepAlive(-1)
    }
  }

  /** Somebody begins (+1) or ceases (−1) to await this thread on the event loop. */
  keepAlive(change: 1 | -1): void {
    this.#awaited += change
    if (this.#awaited > 0) this.#port.ref()
    else this.#port.unref()
  }

  /** From now on the process waits for the thread to end: it has been told to, or somebody wants to know of it. */
  awaitEnd(): void {
    this.#worker.ref()
  }

  /**
   * Notices, while this thread gives no event a turn to tell, that the other one has ended, or that it hangs: it owes
   * an answer to its doorbell. Only time during which somebody was looking counts, so a suspended machine does no harm.
   */
  assertAlive(): void {
    const time = now()
    if (time - this.#lookedAt < LOOK_MS || hasEnded(this.control)) return
    const passed = Math.min(time - this.#lookedAt, WAIT_SLICE_MS)
    this.#lookedAt = time
    if (this.#lifeline.isCut()) {
      this.#lost()
      return
    }
    if (Atomics.load(this.control, Word.commandsRung) === 1) {
      this.#silentMs += passed
      if (this.#silentMs > SILENCE_MS) this.#die(SILENT)
      return
    }
    this.#silentMs = 0
    if (time - this.#probedAt < PROBE_MS) return
    this.#probedAt = time
    if (Atomics.exchange(this.control, Word.commandsRung, 1) === 0) this.post(DOORBELL)
  }

  #ask(body: ControlRequest, pending: Pending): void {
    if (Atomics.load(this.control, Word.state) !== RuntimeState.running) {
      pending.reject(
        new P2pError('ERR_CLOSED', 'the runtime has ended or is ending: it answers no questions')
      )
      return
    }
    const request = ++this.#lastRequest
    try {
      plainly(() => this.post({ request, body }))
      this.#pending.set(request, pending)
    } catch (err) {
      pending.reject(err as P2pError)
    }
  }

  /** Blocks until `answer` is there, the runtime has ended, or it was silent for too long. */
  #blockFor<T>(answer: () => T | undefined, sliceMs = WAIT_SLICE_MS): T | undefined {
    let waitedMs = 0
    for (;;) {
      const seen = Atomics.load(this.control, Word.replySignal)
      if (waitedMs > 0 && !hasEnded(this.control) && this.#lifeline.isCut()) this.#lost()
      const ended = hasEnded(this.control)
      this.#drainPort()
      const found = answer()
      if (found !== undefined) return found
      if (ended) this.#rejectPending()
      if (ended || waitedMs > SILENCE_MS) return answer()
      const begin = now()
      Atomics.wait(this.control, Word.replySignal, seen, sliceMs)
      waitedMs += Math.min(now() - begin, WAIT_SLICE_MS)
    }
  }

  #drainPort(): void {
    let next
    while ((next = receiveMessageOnPort(this.#port)) !== undefined) this.#take(next.message as ToApplication)
  }

  #take(message: ToApplication): void {
    if (message === DOORBELL) {
      // Not at once: this may be in the middle of reading the very channel that the doorbell is about.
      soon(this.#init.wake)
    } else if ('segment' in message) this.#init.segment(message)
    else if ('log' in message) this.#init.log(message.log)
    else if ('started' in message) {
      this.#started = message.started
      this.#onStarted?.()
    } else this.#answer(message)
  }

  #answer(message: ReplyMessage): void {
    const pending = this.#pending.get(message.reply)
    this.#pending.delete(message.reply)
    if ('error' in message) pending?.reject(new P2pError(message.error.code, message.error.message))
    else pending?.resolve(message.value)
  }

  #addresses(started: StartedMessage['started']): string[] {
    if ('addresses' in started) return started.addresses
    throw new P2pError(started.error.code, started.error.message)
  }

  /** The thread is gone. What it said before is still there to be heard. */
  #lost(): void {
    this.#drainPort()
    this.#die('it ended without a word')
  }

  #die(how: string): void {
    const err = failed(how)
    this.#started ??= { error: { code: err.code, message: err.message } }
    if (!hasEnded(this.control)) {
      this.#init.died(err)
      Atomics.store(this.control, Word.state, RuntimeState.failed)
      void this.#worker.terminate()
    }
    this.#onStarted?.()
    this.#rejectPending()
    this.#init.wake()
  }

  #rejectPending(): void {
    for (const { reject } of this.#pending.values()) {
      reject(new P2pError('ERR_CLOSED', 'the runtime ended before it answered'))
    }
    this.#pending.clear()
  }
}

function failed(how: string): P2pError {
  return new P2pError('ERR_RUNTIME_FAILED', `the runtime thread failed: ${how}`)
}
