import type { Connection, MultiaddrConnection, Transport, Upgrader } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import type { Multiaddr } from '@multiformats/multiaddr'

/** A TCP connection that this side has made and on which nothing has been said. */
export interface Opened {
  /** What to dial, the peer's ID included. */
  readonly address: Multiaddr
  readonly connection: MultiaddrConnection
}

/**
 * Takes a dial apart: first the TCP connection, then the handshake on it. Several connections can be tried at once and
 * one handshake begun; libp2p would try one address after the other, and join dials to the same peer.
 */
export class Outgoing {
  /** Those that libp2p is about to dial, by address. */
  readonly #ready = new Map<string, Opened>()
  #transport: Transport['dial'] | undefined

  /** Puts connections that are made already into the place of those that the transport would make. */
  guardTransport<T extends Transport>(transport: T): T {
    this.#transport = transport.dial.bind(transport)
    transport.dial = async (address, { upgrader, ...options }) => {
      const opened = this.#ready.get(address.toString())
      if (opened === undefined) throw new Error(`no connection has been opened to ${address.toString()}`)
      this.#ready.delete(address.toString())
      opened.connection.resume()
      return upgrader.upgradeOutbound(opened.connection, options)
    }
    return transport
  }

  /** Opens a connection. @throws the system's error; libp2p's AbortError when the signal aborts */
  async open(address: string, peerId: string, signal: AbortSignal): Promise<Opened> {
    const target = multiaddr(`${address}/p2p/${peerId}`)
    const connection: unknown = await this.#transport!(target, { signal, upgrader: NO_UPGRADE })
    return { address: target, connection: connection as MultiaddrConnection }
  }

  /** Has libp2p dial on an opened connection, which is closed when that fails. */
  async dial(opened: Opened, dial: (address: Multiaddr) => Promise<Connection>): Promise<Connection> {
    const key = opened.address.toString()
    this.#ready.set(key, opened)
    try {
      return await dial(opened.address)
    } catch (err) {
      opened.connection.abort(err as Error)
      throw err
    } finally {
      this.#ready.delete(key)
    }
  }
}

/** Hands the bare connection back, and reads nothing from it until the upgrade begins: then the guards are in place. */
const NO_UPGRADE = {
  upgradeOutbound: async (connection: MultiaddrConnection) => {
    connection.pause()
    return connection as unknown as Connection
  }
} as unknown as Upgrader
