import type { Server } from 'node:net'
import type {
  ConnectionEncrypter,
  Listener,
  MessageStream,
  MultiaddrConnection,
  SecuredConnection,
  Transport,
  Upgrader
} from '@libp2p/interface'
import { ipOfMultiaddr, addressKey } from '../addresses/index.ts'
import type { Clock } from '../clock.ts'
import { messageOf } from '../errors.ts'
import { noteBegin } from './begun.ts'
import { guardServer } from './doorway.ts'
import { GivenUpHandshakes } from './given-up.ts'
import { handOver } from './hand-over.ts'
import { isPeersFault } from './link.ts'
import { guardNegotiation } from './negotiation-guard.ts'
import { PendingHandshakes } from './pending.ts'
import type { Pending } from './pending.ts'
import { tuneCiphers, tuneRecords } from './noise-records.ts'
import { tuneReads, tuneSocket } from './tuning.ts'

/** The only security protocol spoken (docs/protocol.md, "Connections"). */
const NOISE_PROTOCOLS: readonly string[] = ['/noise']
/** The only muxer. It is named in the handshake, or negotiated behind it. */
const YAMUX_PROTOCOLS: readonly string[] = ['/yamux/1.0.0']

/**
 * A handshake that is younger when its place is needed has not failed: one takes three round trips. An older one that
 * has come no further is charged, as it would have been at its end.
 */
const MIN_CHARGEABLE_AGE_MS = 1_000

export interface HandshakeGuardInit {
  /** Whether the key of an address has an empty bucket: the cheapest check comes first. */
  isBarred: (subject: string) => boolean
  /** Whether there is room for so many connections, established ones and those under way. */
  hasRoom: (pending: number) => boolean
  /** The gater has already reported this connection. */
  wasDenied: (connection: MultiaddrConnection) => boolean
  /** A remote at `ip` did not complete a handshake that it was free to complete. */
  failed: (ip: string, reason: string) => void
  /** A remote was turned away before its handshake, or early in it, for lack of room. */
  refused: (ip: string) => void
}

/**
 * Watches handshakes from outside: libp2p itself does not say who failed one. It stands between the transport and the
 * upgrader (docs/decisions/0005).
 */
export class HandshakeGuard {
  readonly #init: HandshakeGuardInit
  readonly #clock: Clock
  readonly #pending = new PendingHandshakes()
  /** Given up here before they had a fair chance. */
  readonly #uncharged = new WeakSet<Pending>()
  /** Given up by their diallers. */
  readonly #givenUp: GivenUpHandshakes

  constructor(init: HandshakeGuardInit, clock: Clock) {
    this.#init = init
    this.#clock = clock
    this.#givenUp = new GivenUpHandshakes(clock)
  }

  /** Puts the guard between a transport and its upgrader. */
  guardTransport<T extends Transport>(transport: T): T {
    const createListener = transport.createListener.bind(transport)
    const dial = transport.dial.bind(transport)
    transport.createListener = options => {
      const listener = createListener({ ...options, upgrader: this.#guardUpgrader(options.upgrader) })
      const { server } = listener as Listener & { server?: Server }
      if (server !== undefined) guardServer(server, ip => this.#init.isBarred(addressKey(ip)))
      return listener
    }
    transport.dial = async (address, options) =>
      dial(address, { ...options, upgrader: this.#guardUpgrader(options.upgrader) })
    return transport
  }

  /** Ends the inbound handshakes under way from an address key. */
  end(subject: string, reason: string): void {
    for (const pending of this.#pending.of(subject)) pending.abort(new Error(reason))
  }

  #guardUpgrader(upgrader: Upgrader): Upgrader {
    return {
      ...upgrader,
      createInboundAbortSignal: signal => upgrader.createInboundAbortSignal(signal),
      getConnectionEncrypters: () => upgrader.getConnectionEncrypters(),
      getStreamMuxers: () => upgrader.getStreamMuxers(),
      upgradeInbound: async (connection, options) =>
        this.#inbound(connection, async () => upgrader.upgradeInbound(connection, options)),
      upgradeOutbound: async (connection, options) =>
        outbound(connection, async () => upgrader.upgradeOutbound(connection, options))
    }
  }

  async #inbound(connection: MultiaddrConnection, upgrade: () => Promise<void>): Promise<void> {
    const { isBarred, wasDenied, failed } = this.#init
    const ip = ipOfMultiaddr(connection.remoteAddr.toString()) ?? ''
    if (isBarred(addressKey(ip))) throw BARRED
    const pending = this.#enter(ip, connection)
    guardConnection(connection)
    let fault: string | undefined
    let hasLeft = false
    connection.addEventListener('close', ({ error, local }) => {
      if (error !== undefined && local === true && isPeersFault(error)) fault = messageOf(error)
      hasLeft = isRemotesEnd(error)
    })
    try {
      await upgrade()
      if (connection.status === 'open') this.#givenUp.succeeded(pending)
      // What came with the last message of the handshake may have ended the connection before anybody got it.
      else if (fault !== undefined && !this.#uncharged.has(pending)) failed(ip, fault)
    } catch (err) {
      const charge = (): void => failed(ip, messageOf(err))
      if (wasDenied(connection) || this.#uncharged.has(pending)) throw err
      if (hasLeft) this.#givenUp.givenUp(pending, charge)
      else charge()
      throw err
    } finally {
      this.#pending.leave(pending)
    }
  }

  /** Takes a place for a handshake, from somebody else if it must. @throws Error when there is none to be had */
  #enter(ip: string, connection: MultiaddrConnection): Pending {
    const { hasRoom, refused } = this.#init
    const since = this.#clock.now()
    noteBegin(connection, since)
    const places = this.#pending.enter({ ip, since, abort: reason => connection.abort(reason) }, hasRoom)
    if (places === undefined) {
      refused(ip)
      throw FULL
    }
    const { entered, evicted } = places
    if (evicted !== undefined) {
      if (since - evicted.since < MIN_CHARGEABLE_AGE_MS) {
        this.#uncharged.add(evicted)
        refused(evicted.ip)
      }
      evicted.abort(EVICTED)
    }
    return entered
  }
}

/** How an outbound handshake fails when the remote breaks it off. */
export const REMOTE_CLOSED = 'the remote closed the connection'

/** libp2p's words for these two are those of whichever layer noticed, or none: they are put plainly here. */
async function outbound<T>(connection: MultiaddrConnection, upgrade: () => Promise<T>): Promise<T> {
  let fault: string | undefined
  const left = (): void => {
    fault ??= REMOTE_CLOSED
  }
  connection.addEventListener('remoteCloseWrite', left)
  connection.addEventListener('close', ({ error }) => {
    if (isRemotesEnd(error)) left()
  })
  guardConnection(connection, reason => (fault = reason))
  try {
    return await upgrade()
  } catch (err) {
    throw fault === undefined ? err : new Error(fault, { cause: err })
  }
}

/** Whether a connection has ended with this error, or none, because the remote closed or reset it. */
function isRemotesEnd(error: Error | undefined): boolean {
  return error === undefined || 'errno' in error
}

function guardConnection(connection: MultiaddrConnection, failed?: (reason: string) => void): void {
  handOver(connection)
  tuneSocket(connection)
  guardNegotiation(connection, NOISE_PROTOCOLS, reason => {
    failed?.(reason)
    connection.abort(new Error(reason))
  })
}

/** Tells who is at the other end of an encrypted connection, and what carries it; and watches those who negotiate the muxer behind it. */
export function guardEncrypter(
  encrypter: ConnectionEncrypter,
  identified: (connection: MessageStream, peerId: string, below: MessageStream) => void
): ConnectionEncrypter {
  tuneCiphers(encrypter)
  const secureInbound = encrypter.secureInbound.bind(encrypter)
  const secureOutbound = encrypter.secureOutbound.bind(encrypter)
  const guard = <S extends SecuredConnection>(secured: S, below: MessageStream): S => {
    const { connection, remotePeer, streamMuxer } = secured
    identified(connection, remotePeer.toString(), below)
    tuneRecords(connection)
    tuneReads(below)
    handOver(connection)
    if (streamMuxer === undefined)
      guardNegotiation(connection, YAMUX_PROTOCOLS, reason => connection.abort(new Error(reason)))
    return secured
  }
  encrypter.secureInbound = async (connection, options) =>
    guard(await secureInbound(connection, options), connection)
  encrypter.secureOutbound = async (connection, options) =>
    guard(await secureOutbound(connection, options), connection)
  return encrypter
}

/** Made once: turning somebody away must not cost a stack trace. */
const BARRED = new Error('this address is barred')
const FULL = new Error('no room for another connection')
const EVICTED = new Error('the handshake did not go on, and its place was needed')
