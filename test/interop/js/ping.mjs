/** libp2p's ping: 32 bytes that come back. */
import { randomBytes } from 'node:crypto'

const PING = '/ipfs/ping/1.0.0'
const PING_BYTES = 32

export async function servePing(node) {
  await node.handle(PING, stream => {
    stream.addEventListener('message', ({ data }) => stream.send(data))
    stream.addEventListener('end', () => void stream.close().catch(() => {}))
  })
}

/** Round trips in milliseconds, one after the other. */
export async function ping(open, count) {
  const stream = await open(PING)
  const trips = []
  for (let i = 0; i < count; i++) {
    const sent = randomBytes(PING_BYTES)
    const start = performance.now()
    const echo = read(stream, PING_BYTES)
    stream.send(sent)
    if (!(await echo).equals(sent)) throw new Error('the echo is not what was sent')
    trips.push(performance.now() - start)
  }
  await stream.close()
  return trips
}

async function read(stream, bytes) {
  let got = Buffer.alloc(0)
  return new Promise((resolve, reject) => {
    const onMessage = ({ data }) => {
      got = Buffer.concat([got, data.subarray()])
      if (got.length < bytes) return
      stream.removeEventListener('message', onMessage)
      resolve(got)
    }
    stream.addEventListener('message', onMessage)
    stream.addEventListener('end', () => reject(new Error('the stream ended')), { once: true })
  })
}
