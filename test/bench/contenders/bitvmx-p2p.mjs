/** This module, through its synchronous channels: neither thread of the application ever awaits anything. */
import { generatePrivateKey, P2p } from '../../../dist/index.js'

export const title = 'this module: sendMsg until its Status is read'

/** How long the receiving application reads before it gives its event loop a turn, in milliseconds. */
const SLICE_MS = 20
/** Without any event for so long, something is wrong. */
const STALL_MS = 10_000
/** The receiving application's thread may fall behind on a busy machine: acks do not wait for it, its time counts. */
const ROOM = { receiverMessages: 2 ** 24, receiverBytes: 2 ** 30 }

export async function listen(_, received) {
  const { peerId, addresses, receiver } = await start({ limits: ROOM })
  const read = () => {
    const end = performance.now() + SLICE_MS
    do {
      for (let event = receiver.recv(SLICE_MS); event !== undefined; event = receiver.tryRecv()) {
        if (event.type === 'Data') received(event.data)
      }
    } while (performance.now() < end)
    setImmediate(read)
  }
  setImmediate(read)
  return { peerId, address: addresses[0] }
}

export async function connect(_, { peerId, address }) {
  const { sender, receiver } = await start()
  sender.dial(peerId, address)
  const first = receiver.recv(STALL_MS)
  if (first?.type !== 'Connected') throw new Error(`wanted Connected, got ${JSON.stringify(first)}`)
  return {
    drive: load => {
      for (;;) {
        for (let data = load.next(); data !== undefined; data = load.next()) sender.sendMsg(peerId, data)
        if (load.done) return
        let event = receiver.recv(STALL_MS)
        if (event === undefined) throw new Error(`no event for ${STALL_MS} ms`)
        for (; event !== undefined; event = receiver.tryRecv()) {
          if (event.type !== 'Status' || !event.ok) {
            throw new Error(`wanted Status ok, got ${JSON.stringify(event)}`)
          }
          load.settled()
        }
      }
    }
  }
}

async function start(options) {
  return P2p.start('127.0.0.1:0', await generatePrivateKey(), { allowList: 'allow-all', ...options })
}
