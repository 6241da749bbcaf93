import type { Connection, MessageStream } from '@libp2p/interface'
import type { Uint8ArrayList } from 'uint8arraylist'
import type { Cancel, Clock } from '../clock.ts'

/** The parts of libp2p's connection, and of the one below it, that are used here. */
interface HeardConnection {
  maConn: MessageStream & { onData: (data: Uint8Array | Uint8ArrayList) => void }
}

/**
 * Notes when bytes arrive on a connection. Below encryption, because a single Noise record takes seconds on a slow
 * link, and by one assignment a read.
 */
export class Hearing {
  /** When bytes of the peer last arrived, on the clock. */
  at: number
  readonly #waiting = new Set<() => void>()

  constructor(connection: Connection, clock: Clock) {
    const { maConn } = connection as unknown as HeardConnection
    const onData = maConn.onData.bind(maConn)
    this.at = clock.now()
    maConn.onData = data => {
      this.at = clock.now()
      onData(data)
      if (this.#waiting.size > 0) this.#tell()
    }
  }

  /** Calls `action` once when the next bytes have arrived and been read. */
  next(action: () => void): Cancel {
    // A function of its own: the same action may wait twice.
    const once = (): void => action()
    this.#waiting.add(once)
    return () => this.#waiting.delete(once)
  }

  #tell(): void {
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const action of waiting) action()
  }
}
