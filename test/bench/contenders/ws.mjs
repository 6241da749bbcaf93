/** WebSocket over TLS 1.3. */
import { once } from 'node:events'
import { createServer } from 'node:https'
import { WebSocket, WebSocketServer } from 'ws'

export const title = 'ws over TLS 1.3, an ack for each message'

const ACK = Buffer.of(0)

export async function listen({ tls, size }, received) {
  const server = createServer({ ...tls, minVersion: 'TLSv1.3' })
  new WebSocketServer({ server, perMessageDeflate: false, maxPayload: size }).on('connection', socket => {
    socket.on('message', message => {
      received(message)
      socket.send(ACK)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server.address().port
}

export async function connect({ tls }, port) {
  const socket = new WebSocket(`wss://127.0.0.1:${port}`, { ca: tls.cert, perMessageDeflate: false })
  await once(socket, 'open')
  return {
    drive: async load =>
      new Promise((resolve, reject) => {
        const pump = () => {
          for (let message = load.next(); message !== undefined; message = load.next()) socket.send(message)
        }
        socket.once('close', () => reject(new Error('the connection was lost')))
        socket.on('message', () => {
          load.settled()
          pump()
          if (!load.done) return
          socket.removeAllListeners()
          resolve()
        })
        pump()
      })
  }
}
