import type { Stream } from '@libp2p/interface'
import { allHasLeft } from './write-backlog.ts'

/** What goes with the end of a pause. */
export interface ReadPauseInit {
  /** All that was written has left: what has come meanwhile may be read next, and may begin another pause. */
  ending?: () => void
  /** What has come meanwhile is read. */
  ended?: () => void
}

/** Stops the reading of a stream while the remote does not read what is written on it in answer, or while it is held. */
export class ReadPause {
  readonly #stream: Stream
  readonly #init: ReadPauseInit
  /** What was written has not left. */
  #unread = false
  #held = false
  #resuming = false
  #over = false

  constructor(stream: Stream, init: ReadPauseInit = {}) {
    this.#stream = stream
    this.#init = init
    stream.addEventListener('drain', () => this.#end())
    // Told in the middle of a write, when what is sent in answer would be left lying.
    stream.addEventListener('idle', () => queueMicrotask(() => this.#end()))
  }

  get active(): boolean {
    return this.#unread || this.#held
  }

  /** Reads nothing more until all that is written has left. False when that is so already, or the reading has ended. */
  begin(): boolean {
    if (this.#unread || !this.#isReadable()) return false
    this.#unread = true
    this.#stop()
    return true
  }

  /** Reads nothing more until it is released. */
  hold(): void {
    this.#held = true
    this.#stop()
  }

  /** Ends what `hold` has begun. */
  release(): void {
    if (!this.#held) return
    this.#held = false
    this.#goOn()
  }

  /** The stream is not read any more. */
  stop(): void {
    this.#over = true
  }

  #stop(): void {
    // Pausing inside a dispatch that `resume` has begun would be undone by it: `#goOn` does it afterwards.
    if (!this.#resuming && this.#stream.readStatus === 'readable') this.#stream.pause()
  }

  #end(): void {
    if (!this.#unread || this.#over || this.#resuming || !allHasLeft(this.#stream)) return
    this.#unread = false
    this.#init.ending?.()
    this.#goOn()
  }

  #goOn(): void {
    if (this.active || this.#over || this.#resuming) return
    const stream = this.#stream
    if (stream.readStatus === 'paused') {
      this.#resuming = true
      stream.resume()
      this.#resuming = false
      // A pause may have begun during the dispatch that `resume` made.
      if (this.active) this.#stop()
    }
    this.#init.ended?.()
  }

  #isReadable(): boolean {
    const { readStatus } = this.#stream
    return readStatus === 'readable' || readStatus === 'paused'
  }
}
