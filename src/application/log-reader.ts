import { Word } from '../bridge/index.ts'
import type { ControlBlock } from '../bridge/index.ts'
import { setImmediate } from '../intrinsics.ts'
import type { LogRecord } from '../log.ts'

export interface LogReaderInit {
  control: ControlBlock
  /** The application's function. */
  log: (record: LogRecord) => void
  /** Takes in what the thread has said, without a turn of the event loop. */
  fetch: () => void
}

/**
 * The application's end of the log. Its function is called in a turn of the event loop, or when a channel is read: an
 * application that never gives the event loop a turn hears of everything all the same. It is never called from within
 * itself. What it throws is thrown in a turn of its own, as an uncaught exception, and spoils no reading.
 */
export class LogReader {
  readonly #init: LogReaderInit
  readonly #records: LogRecord[] = []
  #isDelivering = false
  #isDue = false

  constructor(init: LogReaderInit) {
    this.#init = init
  }

  /** Records have come. */
  take(records: LogRecord[]): void {
    this.#records.push(...records)
    if (this.#isDue) return
    this.#isDue = true
    setImmediate(() => {
      this.#isDue = false
      this.flush()
    }).unref()
  }

  /** A channel is about to be read. */
  beforeRead(): void {
    const { control, fetch } = this.#init
    if (this.#isDelivering || Atomics.load(control, Word.logUnread) === 0) return
    fetch()
    this.flush()
  }

  /** Tells what has come. When the thread has ended, that is all that it said. */
  flush(): void {
    if (this.#isDelivering) return
    this.#isDelivering = true
    const { control, log } = this.#init
    // What it reads, sends or stops may bring more: that waits for the next time.
    for (const record of this.#records.splice(0)) {
      Atomics.sub(control, Word.logUnread, 1)
      try {
        log(record)
      } catch (err) {
        setImmediate(() => {
          throw err
        })
      }
    }
    this.#isDelivering = false
  }
}
