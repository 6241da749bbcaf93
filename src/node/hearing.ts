import type { Connection, MessageStream } from '@libp2p/interface'
import type { Uint8ArrayList } from 'uint8arraylist'
import type { Clock } from '../clock.ts'

/** The parts of libp2p's connection, and of the one below it, that are used here. */
interface HeardConnection {
  maConn: MessageStream & { onData: (data: Uint8Array | Uint8ArrayList) => void }
}

/**
 * Notes when bytes arrive on a connection, and tells when that was last. Below encryption, because a single Noise
 * record takes seconds on a slow link, and by one assignment a read.
 */
export function heardOn(connection: Connection, clock: Clock): () => number {
  const { maConn } = connection as unknown as HeardConnection
  const onData = maConn.onData.bind(maConn)
  let heardAt = clock.now()
  maConn.onData = data => {
    heardAt = clock.now()
    onData(data)
  }
  return () => heardAt
}
