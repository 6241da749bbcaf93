/** ZeroMQ, encrypted by CURVE. */
import { curveKeyPair, Dealer } from 'zeromq'

export const title = 'ZeroMQ with CURVE, an ack for each message'

const ACK = Buffer.of(0)
/** What is in flight is bounded by the load. */
const UNBOUNDED = { sendHighWaterMark: 0, receiveHighWaterMark: 0 }

export async function listen(_, received) {
  const { publicKey, secretKey } = curveKeyPair()
  const socket = new Dealer({ ...UNBOUNDED, curveServer: true, curveSecretKey: secretKey })
  await socket.bind('tcp://127.0.0.1:*')
  const read = async () => {
    for await (const [message] of socket) {
      received(message)
      await socket.send(ACK)
    }
  }
  void read()
  return { endpoint: socket.lastEndpoint, serverKey: publicKey }
}

export async function connect(_, { endpoint, serverKey }) {
  const { publicKey, secretKey } = curveKeyPair()
  const keys = { curveServerKey: serverKey, curvePublicKey: publicKey, curveSecretKey: secretKey }
  const socket = new Dealer({ ...UNBOUNDED, ...keys })
  socket.connect(endpoint)
  return {
    drive: async load => {
      for (;;) {
        for (let message = load.next(); message !== undefined; message = load.next()) {
          await socket.send(message)
        }
        if (load.done) return
        await socket.receive()
        load.settled()
      }
    }
  }
}
