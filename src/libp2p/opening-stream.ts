import type { Stream } from '@libp2p/interface'
import type { Uint8ArrayList } from 'uint8arraylist'
import type { Conduct } from './conduct.ts'

type ReadStream = Stream & { onData: (data: Uint8Array | Uint8ArrayList) => void }

/**
 * A stream that the remote has opened, until its protocol is agreed on and its bytes are read. What arrives meanwhile
 * is kept upstream, and counted here. The end of the stream is held back once our protocol has been named: upstream
 * would throw away what came before it, and a peer may well write a whole message without waiting for our answer.
 */
export class OpeningStream {
  readonly #conduct: Conduct
  readonly #named: () => boolean
  #bytes = 0
  #opening = true
  #end: (() => void) | undefined

  /** `named`: whether our protocol has been named on the stream. */
  constructor(stream: Stream, conduct: Conduct, named: () => boolean) {
    this.#conduct = conduct
    this.#named = named
    const readStream = stream as ReadStream
    const onData = readStream.onData.bind(readStream)
    readStream.onData = data => {
      if (this.#opening) this.#wait(data.byteLength)
      onData(data)
    }
    stream.addEventListener('close', () => this.#leave())
  }

  /** The remote has ended its writing: `deliver` tells the stream, now or when it is read. */
  end(deliver: () => void): void {
    if (this.#opening && this.#named()) this.#end = deliver
    else deliver()
  }

  /** The stream is read from now on. */
  taken(): void {
    const end = this.#end
    this.#leave()
    end?.()
  }

  #wait(bytes: number): void {
    this.#bytes += bytes
    this.#conduct.waiting(bytes)
  }

  #leave(): void {
    if (this.#opening) this.#conduct.waited(this.#bytes)
    this.#opening = false
    this.#end = undefined
  }
}
