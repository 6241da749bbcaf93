// Attacks at full speed for a given time: each is one attempt, which is repeated without a pause, several at once.
import { COMMS, lines, MULTISTREAM, untilThird, negotiateNoise, payload, record } from './wire/session.mjs'
import { varint } from './wire/lines.mjs'
import { Flag, frame, Type } from './wire/yamux.mjs'

const FF = Buffer.alloc(65_536, 0xff)

export const assaults = {
  'connect flood': async peer => {
    const wire = await peer.wire()
    wire.reset()
    await wire.closed
  },
  /** Of somebody who is not on the list. */
  'handshake flood': async peer => {
    const wire = await peer.wire()
    await negotiateNoise(wire)
    const handshake = await untilThird(wire)
    await wire.send(record(handshake.writeThird(payload(peer.other, handshake.staticKey.publicKey))))
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
      const batch = Array.from({ length: 50 }, () => {
        const stream = session.nextStream
        session.nextStream += 2
        return Buffer.concat([
          frame({ type: Type.windowUpdate, flags: Flag.syn, stream }),
          frame({ type: Type.windowUpdate, flags: Flag.rst, stream })
        ])
      })
      await session.send(Buffer.concat(batch))
    }
  }
}
