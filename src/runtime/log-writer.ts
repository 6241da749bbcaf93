import { Word } from '../bridge/index.ts'
import type { ControlBlock } from '../bridge/index.ts'
import { createLog } from '../log.ts'
import type { Log, LogLevel, LogRecord } from '../log.ts'
import { MAX_UNREAD_LOG_RECORDS } from './limits.ts'

export interface LogWriterInit {
  control: ControlBlock
  /** The least urgent level that is read; undefined: nobody reads. */
  level: LogLevel | undefined
  /** Hands records to the application's thread. */
  post: (records: LogRecord[]) => void
  /** Calls the action at the end of what runs now. */
  soon: (action: () => void) => void
  /** In milliseconds since 1970. */
  time: () => number
}

/**
 * The runtime's end of the log. What one run of the thread writes crosses in one message. The application may block for
 * long: beyond `MAX_UNREAD_LOG_RECORDS` that it has not taken records are counted, and the next one that has room is
 * preceded by how many were left out.
 */
export class LogWriter {
  readonly log: Log
  readonly #init: LogWriterInit
  #batch: LogRecord[] = []
  #leftOut = 0

  constructor(init: LogWriterInit) {
    this.#init = init
    this.log = createLog(init.level, record => this.#write(record), init.time)
  }

  /** Hands over what is there. */
  flush(): void {
    if (this.#batch.length === 0) return
    const batch = this.#batch
    this.#batch = []
    this.#init.post(batch)
  }

  #write(record: LogRecord): void {
    const { control } = this.#init
    const isToldFirst = this.#leftOut > 0
    const count = isToldFirst ? 2 : 1
    if (Atomics.load(control, Word.logUnread) + count > MAX_UNREAD_LOG_RECORDS) {
      this.#leftOut++
      return
    }
    Atomics.add(control, Word.logUnread, count)
    if (this.#batch.length === 0) this.#init.soon(() => this.flush())
    if (isToldFirst) {
      this.#batch.push({
        time: record.time,
        level: 'warn',
        event: 'records-left-out',
        count: this.#leftOut
      })
      this.#leftOut = 0
    }
    this.#batch.push(record)
  }
}
