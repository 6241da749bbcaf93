// Attacks at full speed for a given time: each is one attempt, which is repeated without a pause, several at once.
import { COMMS, connect, lines, MULTISTREAM } from '../../support/wire/session.mjs'
import { varint } from '../../support/wire/lines.mjs'
import { Flag, frame, Type } from '../../support/wire/yamux.mjs'

const FF = Buffer.alloc(65_536, 0xff)

export const assaults = {
  'connect flood': async peer => {
    const wire = await peer.wire()
    wire.reset()
    await wire.closed
  },
  /** Of a peer that is not on the list. */
  'handshake flood': async peer => {
    const { wire } = await connect(peer.target, peer.other)
    await wire.closed
  },
  'varint flood': async peer => {
    const wire = await peer.wire()
    while (wire.open) await wire.send(FF)
    await wire.closed
  },
  /** The following two are those of a peer who is on the list. */
  'oversize prefixes': async peer => {
    const session = await peer.session()
    const message = Buffer.concat([lines(MULTISTREAM, COMMS), varint(200_000_000)])
    const oversize = async () => {
      const stream = await session.stream()
      await stream.send(message)
      await stream.closed
    }
    while (session.open) await Promise.all(Array.from({ length: 25 }, oversize))
  },
  'stream flood': async peer => {
    const session = await peer.session()
    while (session.open) {
      const batch = Array.from({ length: 50 }, () => session.openAndReset())
      await session.send(Buffer.concat(batch))
    }
  },
  /** Of messages that never end: each frame brings one byte of one of them. */
  'tiny frames': async peer => {
    const session = await peer.session()
    const streams = await Promise.all(Array.from({ length: 200 }, async () => session.messages()))
    for (const stream of streams) await stream.send(varint(8_000_000))
    const body = Buffer.alloc(1)
    const round = Buffer.concat(streams.map(({ id }) => frame({ type: Type.data, stream: id, body })))
    const batch = Buffer.concat(Array.from({ length: 20 }, () => round))
    while (session.open) await session.send(batch)
    await session.wire.closed
  },
  /** Each is answered `na`, and the message behind them is a message. */
  'refused lines': async peer => oneMessageStreams(peer, REFUSED),
  'one-message streams': async peer => oneMessageStreams(peer, [])
}

const REFUSED = Array.from({ length: 29 }, (_, i) => `/${i}`)

/** Whole streams in one piece, of one message each, so many at once. */
async function oneMessageStreams(peer, refused) {
  const session = await peer.session()
  const body = Buffer.concat([lines(MULTISTREAM, ...refused, COMMS), Buffer.from([1, 7])])
  let under = 0
  while (session.open) {
    const batch = Array.from({ length: Math.max(0, 200 - under) }, () => {
      const stream = session.reserveStream()
      under++
      void stream.closed.then(() => {
        under--
        session.streams.delete(stream.id)
      })
      return Buffer.concat([
        frame({ type: Type.windowUpdate, flags: Flag.syn, stream: stream.id }),
        frame({ type: Type.data, flags: Flag.fin, stream: stream.id, body })
      ])
    })
    if (batch.length > 0) await session.send(Buffer.concat(batch))
    await new Promise(resolve => setTimeout(resolve, 1))
  }
}
