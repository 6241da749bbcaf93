import type { Connection, MessageStream, Stream } from '@libp2p/interface'
import { ipOfMultiaddr } from '../addresses/index.ts'
import type { Cancel, Clock } from '../clock.ts'
import { deadline } from '../deadline.ts'
import { messageOf } from '../errors.ts'
import { PROTOCOL_ID } from '../framing/index.ts'
import { publicKeyHashOf } from '../identity/index.ts'
import type { DisconnectCode } from '../outcomes.ts'
import { begunAt } from './begun.ts'
import type { MemoryReservation } from '../protocol/index.ts'
import { AbuseError } from './conduct.ts'
import { Hearing } from './hearing.ts'
import { Liveness } from './liveness.ts'
import { Probe } from './probe.ts'
import { backlogOf } from './tuning.ts'

/** Graceful closing gives way to an abort after so many milliseconds. */
const CLOSE_TIMEOUT_MS = 500

/** How a connection ended: for programs, and for people. */
export interface LinkEnd {
  code: DisconnectCode
  reason: string
}

/** One authenticated connection to a peer. */
export class Link {
  readonly connection: Connection
  readonly peerId: string
  /** BitVMX's own name of the peer: the hash of its public key. */
  readonly keyHash: string | undefined
  /** Normalised remote IP, if the connection has one. */
  readonly ip: string | undefined
  /** Remote address as multiaddr text, without the peer ID. */
  readonly address: string
  readonly direction: 'inbound' | 'outbound'
  /** Streams that the peer has opened for its messages and that are not closed. */
  inboundStreams = 0
  /** Memory for incomplete messages of the peer's, once there has been one. */
  memory: MemoryReservation | undefined
  /** When a message stream was last opened or closed on it, by either side, on the runtime's clock. */
  lastUsedAt = 0
  /** When its handshake began, if the peer began it, on the runtime's clock. */
  readonly begunAt: number | undefined
  /** When it passed the local checks, on the runtime's clock. */
  openedAt = 0
  /** The peer has shown that it admitted us; inbound links are admitted by being dialled. */
  admitted: boolean
  #end: LinkEnd | undefined

  /** What the peer did wrong that ended the connection, if that is why it ended. */
  fault: { cause: 'malformed-message' | 'protocol-abuse'; reason: string } | undefined

  readonly #clock: Clock
  readonly #hearing: Hearing
  readonly #liveness: Liveness

  /**
   * `closed` is called once, when the connection has ended. After three times `heartbeatMs` without a byte of the peer
   * it ends as silent; 0: never.
   */
  constructor(connection: Connection, clock: Clock, closed: (link: Link) => void, heartbeatMs = 0) {
    const { remotePeer, remoteAddr, direction } = connection
    this.connection = connection
    this.#clock = clock
    const hearing = new Hearing(connection, clock)
    const probe = new Probe(connection, clock)
    this.#hearing = hearing
    // The answer tells the round trip, by which yamux lets its windows grow.
    probe.send()
    this.#liveness = new Liveness({
      clock,
      heartbeatMs,
      lastReceivedAt: () => hearing.at,
      whenHeard: action => hearing.next(action),
      backlog: () => backlogOf(connection),
      probe: () => probe.send(),
      silent: () =>
        this.abort({ code: 'silent', reason: `nothing was heard of the peer for ${3 * heartbeatMs} ms` })
    })
    this.peerId = remotePeer.toString()
    this.keyHash = remotePeer.publicKey === undefined ? undefined : publicKeyHashOf(remotePeer.publicKey)
    this.address = remoteAddr.decapsulate('/p2p').toString()
    this.ip = ipOfMultiaddr(this.address)
    this.direction = direction
    this.begunAt = begunAt(connection)
    this.admitted = direction === 'inbound'
    connection.addEventListener('close', ({ error, local }) => {
      // A write of ours that meets an orderly end of the remote's makes an error of it.
      if (error === undefined || error.name === 'StreamStateError') {
        this.#end ??= { code: 'remote-closed', reason: 'the remote closed the connection' }
      } else if (this.#end === undefined) {
        const reason = messageOf(error)
        const isFault = local === true && isPeersFault(error)
        const cause = error instanceof AbuseError ? 'protocol-abuse' : 'malformed-message'
        if (isFault) this.fault = { cause, reason }
        this.#end = { code: isFault ? 'protocol' : 'lost', reason }
      }
      this.#liveness.stop()
      closed(this)
    })
  }

  /** Usable: neither side has begun to end it. */
  get open(): boolean {
    return this.#end === undefined && this.connection.status === 'open'
  }

  /** How the link ended, once it has. */
  get end(): LinkEnd {
    return this.#end ?? { code: 'lost', reason: 'the connection ended' }
  }

  /** When bytes of the peer last arrived, on the runtime's clock. */
  get lastReceivedAt(): number {
    return this.#hearing.at
  }

  /** The peer has been asked for a sign of life on it, and has not been heard on it since. */
  get unanswered(): boolean {
    return this.#liveness.unanswered
  }

  /** Asks the peer for a sign of life. */
  ask(): void {
    this.#liveness.ask()
  }

  /** Asks the peer for a sign of life; `action` is called once when it is next heard, if it is. */
  whenHeard(action: () => void): Cancel {
    const cancel = this.#hearing.next(action)
    this.#liveness.ask()
    return cancel
  }

  /** Asks whether the peer is there: true as soon as it is heard, false when it is not in time or the link ends. */
  async confirmAlive(withinMs: number): Promise<boolean> {
    return this.#liveness.confirm(withinMs)
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
  async close(end: LinkEnd): Promise<void> {
    this.#end ??= end
    await closeConnection(this.connection, this.#clock)
  }

  /** Resets the connection now. */
  abort(end: LinkEnd): void {
    this.#end ??= end
    this.connection.abort(new Error(end.reason))
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
