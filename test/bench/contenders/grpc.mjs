/** gRPC, one bidirectional stream; messages are bytes as they are, so that no serialiser is measured. */
import { promisify } from 'node:util'
import { Client, credentials, Server, ServerCredentials } from '@grpc/grpc-js'

export const title = 'gRPC over TLS, one bidirectional stream, an ack for each message'

const PATH = '/bench.Messages/Deliver'
const OPTIONS = {
  'grpc.max_receive_message_length': -1,
  'grpc.max_send_message_length': -1,
  'grpc.ssl_target_name_override': 'localhost',
  'grpc.default_authority': 'localhost'
}
const ACK = Buffer.of(0)
const asIs = bytes => bytes
const METHOD = {
  path: PATH,
  requestStream: true,
  responseStream: true,
  requestSerialize: asIs,
  requestDeserialize: asIs,
  responseSerialize: asIs,
  responseDeserialize: asIs
}

export async function listen({ tls }, received) {
  const server = new Server(OPTIONS)
  server.addService(
    { deliver: METHOD },
    {
      deliver: call => {
        call.on('data', message => {
          received(message)
          call.write(ACK)
        })
      }
    }
  )
  const secure = ServerCredentials.createSsl(null, [
    { private_key: Buffer.from(tls.key), cert_chain: Buffer.from(tls.cert) }
  ])
  return promisify(server.bindAsync.bind(server))('127.0.0.1:0', secure)
}

export async function connect({ tls }, port) {
  const client = new Client(`127.0.0.1:${port}`, credentials.createSsl(Buffer.from(tls.cert)), OPTIONS)
  await promisify(client.waitForReady.bind(client))(Date.now() + 10_000)
  const call = client.makeBidiStreamRequest(PATH, asIs, asIs)
  return {
    drive: async load =>
      new Promise((resolve, reject) => {
        const pump = () => {
          for (let message = load.next(); message !== undefined; message = load.next()) call.write(message)
        }
        call.once('error', reject)
        call.on('data', () => {
          load.settled()
          pump()
          if (!load.done) return
          call.removeAllListeners('data')
          call.removeAllListeners('error')
          resolve()
        })
        pump()
      })
  }
}
