/** A limit: TCP without any encryption. */
import { once } from 'node:events'
import { connect as dial, createServer } from 'node:net'
import { drive, listening, serve } from '../sockets.mjs'

export const title = 'limit: plain TCP, no encryption'

export async function listen(_, received) {
  return listening(createServer(socket => serve(socket, received)))
}

export async function connect({ size }, port) {
  const socket = dial({ port, host: '127.0.0.1', noDelay: true })
  await once(socket, 'connect')
  return { drive: async load => drive(socket, size, load) }
}
