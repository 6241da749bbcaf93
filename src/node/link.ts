import type { Connection, MessageStream, Stream } from '@libp2p/interface'
import { ipOfMultiaddr } from '../addresses/index.ts'
import type { Clock } from '../clock.ts'
import { deadline } from '../deadline.ts'
import { messageOf } from '../errors.ts'
import { PROTOCOL_ID } from '../framing/index.ts'
import { publicKeyHashOf } from '../identity/index.ts'
import { AbuseError } from './conduct.ts'
import { heardOn } from './hearing.ts'

/** Graceful closing gives way to an abort after so many milliseconds. */
const CLOSE_TIMEOUT_MS = 500

/** One authenticated connection to a peer. */
export class Link {
  readonly connection: Connection
  readonly peerId: string
  /** BitVMX's own name of the peer: the hash of his public key. */
  readonly keyHash: string | undefined
  /** Normalised remote IP, if the connection has one. */
  readonly ip: string | undefined
  /** Remote address as multiaddr text, without the peer ID. */
  readonly address: string
  readonly direction: 'inbound' | 'outbound'
  /** Streams that the peer has opened for his messages and that are not closed. */
  inboundStreams = 0
  /** Bytes held for messages of his that are incomplete. */
  heldBytes = 0
  /** When a message stream was last opened or closed on it, by either side, on the runtime's clock. */
  lastUsedAt = 0
  /** When its handshake began, in milliseconds since 1970. */
  readonly begunAt: number
  /** When it passed the local checks, on the runtime's clock. */
  openedAt = 0
  /** The peer has shown that he admitted us; inbound links are admitted by being dialled. */
  admitted: boolean
  #endReason: string | undefined

  /** What the peer did wrong that ended the connection, if that is why it ended. */
  fault: { cause: 'malformed-message' | 'protocol-abuse'; reason: string } | undefined

  readonly #clock: Clock
  readonly #heardAt: () => number

  /** `closed` is called once, when the connection has ended. */
  constructor(connection: Connection, clock: Clock, closed: (link: Link) => void) {
    const { remotePeer, remoteAddr, direction } = connection
    this.connection = connection
    this.#clock = clock
    this.#heardAt = heardOn(connection, clock)
    this.peerId = remotePeer.toString()
    this.keyHash = remotePeer.publicKey === undefined ? undefined : publicKeyHashOf(remotePeer.publicKey)
    this.address = remoteAddr.decapsulate('/p2p').toString()
    this.ip = ipOfMultiaddr(this.address)
    this.direction = direction
    this.begunAt = connection.timeline.open
    this.admitted = direction === 'inbound'
    connection.addEventListener('close', ({ error, local }) => {
      if (error === undefined) this.#endReason ??= 'the remote closed the connection'
      else if (this.#endReason === undefined) {
        this.#endReason = messageOf(error)
        const cause = error instanceof AbuseError ? 'protocol-abuse' : 'malformed-message'
        if (local === true && isPeersFault(error)) this.fault = { cause, reason: this.#endReason }
      }
      closed(this)
    })
  }

  /** Usable: neither side has begun to end it. */
  get open(): boolean {
    return this.#endReason === undefined && this.connection.status === 'open'
  }

  /** Why the link ended, once it has. */
  get endReason(): string {
    return this.#endReason ?? 'the connection ended'
  }

  /** When bytes of the peer last arrived, on the runtime's clock. */
  get heardAt(): number {
    return this.#heardAt()
  }

  /** Whether the stream is one of this connection's. */
  carries(stream: Stream): boolean {
    return this.connection.streams.includes(stream)
  }

  /** Message streams of either side, and those of which it is not known yet what they are for. */
  get messageStreams(): number {
    return this.connection.streams.filter(({ protocol }) => protocol === '' || protocol === PROTOCOL_ID)
      .length
  }

  /** Opens a stream for messages: done when the peer has agreed to the protocol, which takes one round trip. */
  async openStream(signal: AbortSignal): Promise<Stream> {
    const stream = await this.connection.newStream(PROTOCOL_ID, { signal })
    this.use(stream)
    return stream
  }

  /** Takes note of a message stream that has been opened. */
  use(stream: Stream): void {
    const note = (): void => {
      this.lastUsedAt = this.#clock.now()
    }
    note()
    stream.addEventListener('close', note)
  }

  /** Closes in an orderly way, by force if that takes long. */
  async close(reason: string): Promise<void> {
    this.#endReason ??= reason
    await closeConnection(this.connection, this.#clock)
  }

  /** Resets the connection now. */
  abort(reason: string): void {
    this.#endReason ??= reason
    this.connection.abort(new Error(reason))
  }
}

/** Closes in an orderly way, by force if that takes long. */
export async function closeConnection(connection: MessageStream | Connection, clock: Clock): Promise<void> {
  const { signal, clear } = deadline(clock, CLOSE_TIMEOUT_MS)
  try {
    await connection.close({ signal })
  } catch (err) {
    connection.abort(err as Error)
  } finally {
    clear()
  }
}

/** What ends a connection from this side without being anybody's fault: time, and our own writes while it closes. */
const INNOCENT_ERRORS: readonly string[] = ['TimeoutError', 'AbortError', 'StreamStateError']

/** Part of upstream's words when a key has sealed or opened 2^32 records, the end of a connection that talked for long. */
const WORN_OUT = 'a new handshake must be performed'

/**
 * Whether an error that ended a connection from this side tells of bytes that do not decode (muxer and Noise), rather
 * than of the network: those errors carry a system error number.
 */
export function isPeersFault(error: Error): boolean {
  return !('errno' in error) && !INNOCENT_ERRORS.includes(error.name) && !error.message.includes(WORN_OUT)
}
