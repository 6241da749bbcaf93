import type {
  ConnectionEncrypter,
  MessageStream,
  MultiaddrConnection,
  Transport,
  Upgrader
} from '@libp2p/interface'
import { ipOfMultiaddr, rateSubject } from '../addresses/index.ts'
import { messageOf } from '../errors.ts'

/** Inbound handshakes under way at once, in all and from one rate subject: one address never takes all places. */
const MAX_PENDING = 256
const MAX_PENDING_PER_SUBJECT = 64
/**
 * Bytes a remote may send before the Noise handshake begins: it only names two protocols, in under 100 bytes. The
 * reader of that negotiation costs quadratic time on a broken length, so this bound is what keeps it harmless.
 */
const MAX_NEGOTIATION_BYTES = 4_096

/** Why an inbound connection was not upgraded. */
export type InboundRefusal = 'barred' | 'full' | 'pending'

export interface HandshakeGuardInit {
  /** Whether the rate subject of an address has an empty bucket: the cheapest check comes first. */
  isBarred: (subject: string) => boolean
  /** Whether there is room for so many connections, established ones and those under way. */
  hasRoom: (pending: number) => boolean
  /** The gater has already reported this connection. */
  wasDenied: (connection: MultiaddrConnection) => boolean
  /** A remote at `ip` did not complete a handshake that it was free to complete. */
  failed: (ip: string, reason: string) => void
  /** A remote was turned away before its handshake for lack of room. */
  refused: (ip: string, refusal: 'full' | 'pending') => void
}

/** Counts a connection's bytes until its Noise handshake begins. */
class NegotiationBudget {
  #bytes = 0
  readonly #connection: Droppable
  readonly #onData: Droppable['onData']

  constructor(connection: Droppable) {
    this.#connection = connection
    this.#onData = connection.onData.bind(connection)
    connection.onData = data => {
      this.#bytes += data.byteLength
      if (this.#bytes > MAX_NEGOTIATION_BYTES) {
        connection.abort(new Error(`more than ${MAX_NEGOTIATION_BYTES} bytes before the handshake`))
      } else this.#onData(data)
    }
  }

  end(): void {
    this.#connection.onData = this.#onData
  }
}

/** The part of libp2p's AbstractMultiaddrConnection that the budget stands in front of. */
type Droppable = MultiaddrConnection & { onData: (data: { byteLength: number }) => void }

/**
 * Watches handshakes from outside: libp2p itself does not say who failed one. It stands between the transport and the
 * upgrader, and between the upgrader and the encrypter (docs/decisions/0005).
 */
export class HandshakeGuard {
  readonly #init: HandshakeGuardInit
  readonly #budgets = new WeakMap<MessageStream, NegotiationBudget>()
  readonly #pendingBySubject = new Map<string, number>()
  #pending = 0

  constructor(init: HandshakeGuardInit) {
    this.#init = init
  }

  /** Puts the guard between a transport and its upgrader. */
  guardTransport<T extends Transport>(transport: T): T {
    const createListener = transport.createListener.bind(transport)
    const dial = transport.dial.bind(transport)
    transport.createListener = options =>
      createListener({ ...options, upgrader: this.#guardUpgrader(options.upgrader) })
    transport.dial = async (address, options) =>
      dial(address, { ...options, upgrader: this.#guardUpgrader(options.upgrader) })
    return transport
  }

  /** Notes when an encrypter takes over: from there on Noise bounds its own messages. */
  guardEncrypter<T extends ConnectionEncrypter>(encrypter: T): T {
    const secureInbound = encrypter.secureInbound.bind(encrypter)
    const secureOutbound = encrypter.secureOutbound.bind(encrypter)
    encrypter.secureInbound = async (connection, options) => {
      this.#budgets.get(connection)?.end()
      return secureInbound(connection, options)
    }
    encrypter.secureOutbound = async (connection, options) => {
      this.#budgets.get(connection)?.end()
      return secureOutbound(connection, options)
    }
    return encrypter
  }

  #guardUpgrader(upgrader: Upgrader): Upgrader {
    return {
      ...upgrader,
      createInboundAbortSignal: signal => upgrader.createInboundAbortSignal(signal),
      getConnectionEncrypters: () => upgrader.getConnectionEncrypters(),
      getStreamMuxers: () => upgrader.getStreamMuxers(),
      upgradeInbound: async (connection, options) =>
        this.#inbound(connection, async () => upgrader.upgradeInbound(connection, options)),
      upgradeOutbound: async (connection, options) => {
        this.#budgets.set(connection, new NegotiationBudget(connection as Droppable))
        return upgrader.upgradeOutbound(connection, options)
      }
    }
  }

  async #inbound(connection: MultiaddrConnection, upgrade: () => Promise<void>): Promise<void> {
    const { isBarred, hasRoom, wasDenied, failed, refused } = this.#init
    const ip = ipOfMultiaddr(connection.remoteAddr.toString()) ?? ''
    const subject = rateSubject(ip)
    if (isBarred(subject)) throw BARRED
    const pendingHere = this.#pendingBySubject.get(subject) ?? 0
    const crowded = this.#pending >= MAX_PENDING || pendingHere >= MAX_PENDING_PER_SUBJECT
    if (crowded || !hasRoom(this.#pending)) {
      refused(ip, crowded ? 'pending' : 'full')
      throw FULL
    }
    this.#pending++
    this.#pendingBySubject.set(subject, pendingHere + 1)
    this.#budgets.set(connection, new NegotiationBudget(connection as Droppable))
    try {
      await upgrade()
    } catch (err) {
      if (!wasDenied(connection)) failed(ip, messageOf(err))
      throw err
    } finally {
      this.#pending--
      const left = this.#pendingBySubject.get(subject)! - 1
      if (left === 0) this.#pendingBySubject.delete(subject)
      else this.#pendingBySubject.set(subject, left)
    }
  }
}

/** Made once: turning somebody away must not cost a stack trace. */
const BARRED = new Error('this address is barred')
const FULL = new Error('no room for another connection')
