import type { Server, Socket } from 'node:net'

/** An accepted connection before node:net has made a socket of it. */
interface RawConnection {
  getpeername: (out: { address?: string }) => number
  reset: (done: () => void) => number
}

/** The listening handle behind a server: not in Node's documentation, so nothing depends on finding it like this. */
interface RawServer {
  onconnection: (error: number | undefined, connection?: Partial<RawConnection>) => void
}

const nothing = (): void => {}

/**
 * Resets connections of unwelcome addresses, and of nobody any more, before libp2p makes anything of them. Making and
 * destroying a socket takes twice as long as the system calls, so those are turned away before there is one, if this
 * version of Node is built in the way that is known; if not, right after.
 */
export function guardServer(server: Server, isUnwelcome: (ip: string) => boolean): void {
  const accept = server.listeners('connection')[0]
  if (accept === undefined) return
  server.removeAllListeners('connection')
  server.on('connection', (socket: Socket) => {
    const { remoteAddress } = socket
    if (remoteAddress !== undefined && !isUnwelcome(remoteAddress)) {
      accept.call(server, socket)
      return
    }
    socket.on('error', nothing)
    socket.resetAndDestroy()
  })
  server.on('listening', () => guardHandle((server as { _handle?: Partial<RawServer> })._handle, isUnwelcome))
}

function guardHandle(handle: Partial<RawServer> | undefined, isUnwelcome: (ip: string) => boolean): void {
  const onConnection = handle?.onconnection
  if (handle === undefined || typeof onConnection !== 'function') return
  const peer: { address?: string } = {}
  // Called on the handle, which node:net finds its server by.
  handle.onconnection = function guarded(this: unknown, error, connection) {
    // Who has gone already has no name any more.
    if (isRaw(connection) && (connection.getpeername(peer) !== 0 || isUnwelcome(peer.address!))) {
      connection.reset(nothing)
      return
    }
    onConnection.call(this as RawServer, error, connection)
  }
}

function isRaw(connection: Partial<RawConnection> | undefined): connection is RawConnection {
  return typeof connection?.getpeername === 'function' && typeof connection.reset === 'function'
}
