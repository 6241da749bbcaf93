import { createHash } from 'node:crypto'
import { closeSync, openSync, readSync } from 'node:fs'
import { P2pError } from '../errors.ts'
import type { P2pEvent } from '../bridge/index.ts'
import { unexpected } from './desk.ts'
import type { Desk } from './desk.ts'
import type { Duties } from './duties.ts'
import { decode, encodeEnd, FILE_HEADER_BYTES, FILE_MESSAGE_BYTES, writeChunkHeader } from './file-frames.ts'
import { SendWindow } from './send-window.ts'

/** How long to leave a receiver alone that was full: at first, and at most, in milliseconds. */
const FIRST_PAUSE_MS = 10
const LONGEST_PAUSE_MS = 1_000

type Task = Duties['sendFile']['takes']

/** Sends a file, reading each part when there is room for it: memory does not grow with the file. */
export function sendFile(desk: Desk, task: Task): Duties['sendFile']['gives'] {
  const fd = openSync(task.path, 'r')
  try {
    return new FileSender(desk, task, fd).run()
  } finally {
    closeSync(fd)
  }
}

class FileSender {
  readonly #desk: Desk
  readonly #task: Task
  readonly #fd: number
  readonly #window = new SendWindow()
  readonly #hash = createHash('sha256')
  /** Read and hashed so far; what is sent again is not hashed again. */
  #hashed = 0
  #sha256 = ''
  /** One message; `sendMsg` has copied it when it returns. */
  readonly #message = Buffer.allocUnsafe(FILE_MESSAGE_BYTES)
  /** What `#message` holds: the part of the file from this offset on, of this size with its header. */
  #heldOffset = -1
  #heldBytes = 0
  /** `sendMsg` threw ERR_SENDER_FULL, and no Status has been read since. */
  #full = false
  #waits = 0
  #endSent = false
  #pauseMs = FIRST_PAUSE_MS
  #pausedUntil = 0

  constructor(desk: Desk, task: Task, fd: number) {
    this.#desk = desk
    this.#task = task
    this.#fd = fd
  }

  run(): Duties['sendFile']['gives'] {
    const begin = performance.now()
    while (!this.#verified(this.#desk.next())) this.#send()
    while (this.#desk.unsettled > 0) this.#desk.next()
    return {
      tally: this.#desk.tally,
      sha256: this.#sha256,
      ms: performance.now() - begin,
      waits: this.#waits,
      resent: this.#window.resent
    }
  }

  /** Sends whatever can be sent now. */
  #send(): void {
    const { bytes } = this.#task
    const window = this.#window
    while (!window.holding && !this.#full && performance.now() >= this.#pausedUntil) {
      if (window.position < bytes) this.#sendChunk()
      else if (window.settled && !this.#endSent) this.#sendEnd()
      else return
    }
  }

  #sendChunk(): void {
    const { position } = this.#window
    if (this.#heldOffset !== position) this.#read(position)
    try {
      const id = this.#desk.send(this.#task.to, this.#message.subarray(0, this.#heldBytes))
      this.#window.sent(id, this.#heldBytes - FILE_HEADER_BYTES)
    } catch (err) {
      // Not a failure: so much is under way that the outcome of some of it must be read first.
      if (!(err instanceof P2pError && err.code === 'ERR_SENDER_FULL')) throw err
      this.#full = true
      this.#waits++
    }
  }

  #sendEnd(): void {
    const { to, bytes } = this.#task
    this.#sha256 ||= this.#hash.digest('hex')
    this.#window.sent(this.#desk.send(to, encodeEnd({ kind: 'end', bytes, sha256: this.#sha256 })), 0)
    this.#endSent = true
  }

  #read(offset: number): void {
    const { path, bytes } = this.#task
    const wanted = Math.min(bytes - offset, FILE_MESSAGE_BYTES - FILE_HEADER_BYTES)
    for (let read = 0; read < wanted;) {
      const at = FILE_HEADER_BYTES + read
      const got = readSync(this.#fd, this.#message, at, wanted - read, offset + read)
      if (got === 0) throw new Error(`${path} has become shorter while it was being sent`)
      read += got
    }
    writeChunkHeader(this.#message, offset)
    this.#heldOffset = offset
    this.#heldBytes = FILE_HEADER_BYTES + wanted
    if (offset < this.#hashed) return
    this.#hash.update(this.#message.subarray(FILE_HEADER_BYTES, this.#heldBytes))
    this.#hashed = offset + wanted
  }

  /** Whether the receiver says that he has got everything. */
  #verified(event: P2pEvent | undefined): boolean {
    if (event?.type === 'Data') {
      const message = decode(event.data)
      const { bytes } = this.#task
      if (message.kind === 'verified' && message.bytes === bytes && message.sha256 === this.#sha256)
        return true
      throw new Error('the receiver has got something else than was sent')
    }
    if (event?.type === 'Status') this.#settle(event)
    else if (event !== undefined) throw unexpected(event)
    return false
  }

  /** Sending again what was refused is up to the application, and safe here: the receiver knows what it has. */
  #settle(event: Extract<P2pEvent, { type: 'Status' }>): void {
    this.#full = false
    this.#window.outcome(event.id, event.ok)
    if (event.ok) {
      this.#pauseMs = FIRST_PAUSE_MS
      return
    }
    if (event.reason !== 'refused-full' && event.reason !== 'ack-timeout') throw unexpected(event)
    this.#endSent = false
    this.#pausedUntil = performance.now() + this.#pauseMs
    this.#pauseMs = Math.min(2 * this.#pauseMs, LONGEST_PAUSE_MS)
  }
}
