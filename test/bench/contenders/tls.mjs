/** A limit: TLS 1.3, which Node does outside of JavaScript. */
import { once } from 'node:events'
import { connect as dial, createServer } from 'node:tls'
import { drive, listening, serve } from '../sockets.mjs'

export const title = 'limit: TLS 1.3'

export async function listen({ tls }, received) {
  return listening(createServer({ ...tls, minVersion: 'TLSv1.3' }, socket => serve(socket, received)))
}

export async function connect({ tls, size }, port) {
  const socket = dial({ port, host: '127.0.0.1', ca: tls.cert, minVersion: 'TLSv1.3' })
  socket.setNoDelay(true)
  await once(socket, 'secureConnect')
  return { drive: async load => drive(socket, size, load) }
}
