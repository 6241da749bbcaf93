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
import { ipOfMultiaddr, rateSubject } from '../addresses/index.ts'
import { messageOf } from '../errors.ts'
import { guardServer } from './doorway.ts'
import { isPeersFault } from './link.ts'
import { guardNegotiation } from './negotiation-guard.ts'
import { tuneCiphers, tuneRecords } from './records.ts'
import { writeTogether } from './tuning.ts'

/** The only security protocol spoken (docs/protocol.md, "Connections"). */
const NOISE_PROTOCOLS: readonly string[] = ['/noise']
/** The only muxer. It is named in the handshake, or negotiated behind it. */
const YAMUX_PROTOCOLS: readonly string[] = ['/yamux/1.0.0']

/** Inbound handshakes under way at once, in all and from one rate subject: one address never takes all places. */
const MAX_PENDING = 256
const MAX_PENDING_PER_SUBJECT = 64

export interface HandshakeGuardInit {
  /** Whether the rate subject of an address has an empty bucket: the cheapest check comes first. */
  isBarred: (subject: string) => boolean
  /** Whether there is room for so many connections, established ones and those under way. */
  hasRoom: (pending: number) => boolean
  /** The gater has already reported this connection. */
  wasDenied: (connection: MultiaddrConnection) => boolean
  /** A remote at `ip` did not complete a handshake that it was free to complete. */
  failed: (ip: string, reason: string) => void
  /** A remote was turned away before its handshake, for lack of room. */
  refused: (ip: string) => void
}

/**
 * Watches handshakes from outside: libp2p itself does not say who failed one. It stands between the transport and the
 * upgrader (docs/decisions/0005).
 */
export class HandshakeGuard {
  readonly #init: HandshakeGuardInit
  /** Inbound connections whose handshake is under way, by rate subject. */
  readonly #pending = new Map<string, Set<MultiaddrConnection>>()
  #pendingInAll = 0

  constructor(init: HandshakeGuardInit) {
    this.#init = init
  }

  /** Puts the guard between a transport and its upgrader. */
  guardTransport<T extends Transport>(transport: T): T {
    const createListener = transport.createListener.bind(transport)
    const dial = transport.dial.bind(transport)
    transport.createListener = options => {
      const listener = createListener({ ...options, upgrader: this.#guardUpgrader(options.upgrader) })
      const { server } = listener as Listener & { server?: Server }
      if (server !== undefined) guardServer(server, ip => this.#init.isBarred(rateSubject(ip)))
      return listener
    }
    transport.dial = async (address, options) =>
      dial(address, { ...options, upgrader: this.#guardUpgrader(options.upgrader) })
    return transport
  }

  /** Ends the inbound handshakes under way from a rate subject. */
  end(subject: string, reason: string): void {
    for (const connection of this.#pending.get(subject) ?? []) connection.abort(new Error(reason))
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
    const { isBarred, hasRoom, wasDenied, failed, refused } = this.#init
    const ip = ipOfMultiaddr(connection.remoteAddr.toString()) ?? ''
    const subject = rateSubject(ip)
    if (isBarred(subject)) throw BARRED
    const here = this.#pending.get(subject) ?? new Set()
    const crowded = this.#pendingInAll >= MAX_PENDING || here.size >= MAX_PENDING_PER_SUBJECT
    if (crowded || !hasRoom(this.#pendingInAll)) {
      refused(ip)
      throw FULL
    }
    this.#pendingInAll++
    this.#pending.set(subject, here.add(connection))
    guardConnection(connection)
    let fault: string | undefined
    connection.addEventListener('close', ({ error, local }) => {
      if (error !== undefined && local === true && isPeersFault(error)) fault = messageOf(error)
    })
    try {
      await upgrade()
      // What came with the last message of the handshake may have ended the connection before anybody got it.
      if (connection.status !== 'open' && fault !== undefined) failed(ip, fault)
    } catch (err) {
      if (!wasDenied(connection)) failed(ip, messageOf(err))
      throw err
    } finally {
      this.#pendingInAll--
      here.delete(connection)
      if (here.size === 0) this.#pending.delete(subject)
    }
  }
}

/** libp2p's words for these two are those of whichever layer noticed, or none: they are put plainly here. */
async function outbound<T>(connection: MultiaddrConnection, upgrade: () => Promise<T>): Promise<T> {
  let fault: string | undefined
  const left = (): void => {
    fault ??= 'the remote closed the connection'
  }
  connection.addEventListener('remoteCloseWrite', left)
  connection.addEventListener('close', ({ error }) => {
    if (error === undefined || 'errno' in error) left()
  })
  guardConnection(connection, reason => (fault = reason))
  try {
    return await upgrade()
  } catch (err) {
    throw fault === undefined ? err : new Error(fault, { cause: err })
  }
}

function guardConnection(connection: MultiaddrConnection, failed?: (reason: string) => void): void {
  writeTogether(connection)
  guardNegotiation(connection, NOISE_PROTOCOLS, reason => {
    failed?.(reason)
    connection.abort(new Error(reason))
  })
}

/** Tells who is at the other end of an encrypted connection, and watches those who negotiate the muxer behind it. */
export function guardEncrypter(
  encrypter: ConnectionEncrypter,
  identified: (connection: MessageStream, peerId: string) => void
): ConnectionEncrypter {
  tuneCiphers(encrypter)
  const secureInbound = encrypter.secureInbound.bind(encrypter)
  const secureOutbound = encrypter.secureOutbound.bind(encrypter)
  const guard = <S extends SecuredConnection>(secured: S): S => {
    const { connection, remotePeer, streamMuxer } = secured
    identified(connection, remotePeer.toString())
    tuneRecords(connection)
    if (streamMuxer === undefined)
      guardNegotiation(connection, YAMUX_PROTOCOLS, reason => connection.abort(new Error(reason)))
    return secured
  }
  encrypter.secureInbound = async (connection, options) => guard(await secureInbound(connection, options))
  encrypter.secureOutbound = async (connection, options) => guard(await secureOutbound(connection, options))
  return encrypter
}

/** Made once: turning somebody away must not cost a stack trace. */
const BARRED = new Error('this address is barred')
const FULL = new Error('no room for another connection')
