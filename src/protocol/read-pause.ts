import type { Stream } from '@libp2p/interface'

/** Whether all that was written on a stream has left it. Room for a few bytes is no reason to go on. */
export function allHasLeft(stream: Stream): boolean {
  return stream.writeBufferLength === 0 && !stream.writableNeedsDrain
}

/** What goes with the end of a pause. */
export interface ReadPauseInit {
  /** It is over: what has come meanwhile is read next, and may begin another. */
  ending?: () => void
  /** What has come meanwhile is read. */
  ended?: () => void
}

/** Stops the reading of a stream while the remote does not read what is written on it in answer. */
export class ReadPause {
  readonly #stream: Stream
  readonly #init: ReadPauseInit
  #active = false
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
    return this.#active
  }

  /** Reads nothing more until all that is written has left. False when that is so already, or the reading has ended. */
  begin(): boolean {
    if (this.#active || this.#stream.readStatus !== 'readable') return false
    this.#active = true
    // Pausing inside a dispatch that `resume` has begun would be undone by it: `#end` does it afterwards.
    if (!this.#resuming) this.#stream.pause()
    return true
  }

  /** Nobody reads the stream any more. */
  stop(): void {
    this.#over = true
  }

  #end(): void {
    const stream = this.#stream
    if (!this.#active || this.#over || this.#resuming || !allHasLeft(stream)) return
    this.#active = false
    this.#init.ending?.()
    if (stream.readStatus === 'paused') {
      this.#resuming = true
      stream.resume()
      this.#resuming = false
      // `begin` may have been called during the dispatch that `resume` made.
      if (this.#mustPause()) stream.pause()
    }
    this.#init.ended?.()
  }

  #mustPause(): boolean {
    return this.#active && this.#stream.readStatus === 'readable'
  }
}
