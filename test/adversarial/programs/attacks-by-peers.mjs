// Offences of a peer that has proved who it is and is allowed. Each function commits one.
import { COMMS, lines, MULTISTREAM, propose } from '../../support/wire/session.mjs'
import { accept, varint } from '../../support/wire/lines.mjs'
import { record } from '../../support/wire/noise.mjs'
import { Flag, frame, Type } from '../../support/wire/yamux.mjs'

const PAUSE_MS = 20

/** Streams that are used at the same time in a flood of them. */
const AT_ONCE = 32
/** Frames written together in a flood. */
const BATCH = 1_000

/** On a message stream of the peer's connection; settles when the node has reset it. */
const onMessages = act => async peer => {
  const session = await peer.session()
  const stream = await session.messages()
  await act(stream, session)
  return stream.closed
}

/** Writes message frames, or what should be some. */
const writes = (hex, { end = false } = {}) =>
  onMessages(async stream => {
    await stream.send(Buffer.from(hex.replaceAll(' ', ''), 'hex'))
    if (end) await stream.end()
  })

/** On the peer's connection; settles when the node has ended it, which it may in the middle of the offence. */
const onSession = act => async peer => {
  const session = await peer.session()
  await act(session, peer).catch(err => console.error(`hung up on: ${err.message}`))
  return session.wire.closed
}

/** On one stream after the other, so many at once, until the node hangs up. */
const onManyStreams = act =>
  onSession(async session => {
    const one = async () => {
      while (session.open) await act(session)
    }
    await Promise.allSettled(Array.from({ length: AT_ONCE }, one))
  })

const sends = fields => onSession(async session => session.frame(fields))

/** From now on the node's messages are answered so. The test makes the node send one. */
const answers = respond => async peer => {
  const session = await peer.session()
  session.onStream = stream => {
    accept(stream, COMMS)
      .then(async () => respond(stream))
      .catch(() => {})
  }
}

const answersWith = hex =>
  answers(async stream => {
    await stream.readMessage()
    await stream.send(Buffer.from(hex.replaceAll(' ', ''), 'hex'))
  })

/** Writes batches until the node ends the connection. */
const flood = make =>
  onSession(async session => {
    const stream = await session.messages()
    while (session.open)
      await session.send(Buffer.concat(Array.from({ length: BATCH }, () => make(session, stream))))
  })

export const peerAttacks = {
  'a length that is not minimal': writes('81 00 01'),
  'a length of five bytes': writes('ff ff ff ff 01'),
  'an endless length': writes('80 80 80 80 80 80 80 80'),
  'a frame cut off in its length': writes('80', { end: true }),
  'a frame cut off after its length': writes('05', { end: true }),
  'a frame cut off in its payload': writes('05 01 02', { end: true }),
  'a good frame, then a cut one': writes('01 07 05 01', { end: true }),
  'a frame that does not end': writes('05 01 02'),
  'a frame that drips': onMessages(async stream => {
    await stream.send(Buffer.from([0x7f]))
    while (!stream.finished) {
      await stream.send(Buffer.from([1]))
      await new Promise(resolve => setTimeout(resolve, PAUSE_MS))
    }
  }),
  '257 message streams': async peer => {
    const session = await peer.session()
    peer.held ??= await Promise.all(Array.from({ length: 256 }, async () => session.messages()))
    const stream = await session.stream()
    await stream.send(lines(MULTISTREAM, COMMS))
    return stream.closed
  },
  '321 streams': onSession(async session => {
    for (let i = 0; i < 321; i++) void session.stream()
  }),
  'acks that are not read': onMessages(async (stream, session) => {
    // No window is ever granted: when the acks of these have used up the first one, the node waits.
    session.grantWindow = false
    for (let i = 0; i < 3; i++) await stream.send(Buffer.alloc(50_000))
    await stream.closed
  }),

  'an ack that answers nothing': answersWith('01 00 01 00'),
  'an unknown status': answersWith('01 03'),
  'an empty ack': answersWith('00'),
  'an ack of 65 bytes': answersWith(`41 ${'00'.repeat(65)}`),
  'an ack whose length is not minimal': answersWith('81 00 00'),
  'an ack with an endless length': answersWith('80 80 80 80 80'),
  'an ack that is cut off': answers(async stream => {
    await stream.readMessage()
    await stream.send(Buffer.from([2, 0]))
    await stream.end()
  }),
  'no ack': answers(async stream => {
    await stream.readMessage()
  }),

  'a frame of another version': sends({ version: 1, type: Type.data }),
  'a frame of an unknown type': sends({ type: 4, stream: 1 }),
  'an unknown type on no stream': sends({ type: 9 }),
  'data on no stream': sends({ type: Type.data, body: Buffer.alloc(10) }),
  'a ping on a stream': sends({ type: Type.ping, flags: Flag.syn, stream: 1 }),
  'a ping without a flag': sends({ type: Type.ping, length: 5 }),
  'an answer to no ping': onSession(async session => {
    await (await session.messages()).end()
    await session.frame({ type: Type.ping, flags: Flag.ack, length: 77 })
  }),
  'a frame of 300 MiB': onSession(async session => {
    await session.send(
      frame({ type: Type.data, stream: 1, length: 300 * 2 ** 20, body: Buffer.alloc(60_000) })
    )
  }),
  'more than the window': onSession(async session => {
    const stream = await session.messages()
    await stream.send(Buffer.alloc(300 * 1_024))
  }),
  'a stream with an even number': sends({ type: Type.windowUpdate, flags: Flag.syn, stream: 8 }),
  'a flipped bit in a record': onSession(async session => {
    const sealed = session.seal(frame({ type: Type.ping, flags: Flag.syn, length: 1 }))
    sealed[10] ^= 1
    await session.wire.send(sealed)
  }),
  'a record too short to be one': onSession(async session => session.wire.send(record(Buffer.alloc(5)))),
  'a record of 0 bytes': onSession(async session => session.wire.send(record(Buffer.alloc(0)))),
  'a record of 64 KiB of garbage': onSession(async session => {
    await session.wire.send(record(Buffer.alloc(65_535, 3)))
  }),
  'a record that was sent before': onSession(async session => {
    const sealed = session.seal(frame({ type: Type.ping, flags: Flag.syn, length: 1 }))
    await session.wire.send(Buffer.concat([sealed, sealed]))
  }),
  'ff instead of a negotiation': onSession(async session => {
    const stream = await session.stream()
    await stream.send(Buffer.alloc(65_536, 0xff))
  }),
  'ff as the answer to a negotiation': async peer => {
    const session = await peer.session()
    session.onStream = stream => {
      // The node hangs up over it: the next offence is not for this session, however late its end is noticed here.
      session.spent = true
      void stream.send(Buffer.alloc(65_536, 0xff)).catch(() => {})
    }
  },

  'a flood of pings': flood((session, stream) =>
    frame({ type: Type.ping, flags: Flag.syn, length: stream.id })
  ),
  'a flood of window updates': flood((session, stream) =>
    frame({ type: Type.windowUpdate, stream: stream.id, length: 1 })
  ),
  'a flood of empty frames': flood((session, stream) => frame({ type: Type.data, stream: stream.id })),
  'a flood of ends of one stream': flood((session, stream) =>
    frame({ type: Type.windowUpdate, flags: Flag.fin, stream: stream.id })
  ),
  'a flood of data for no stream': flood(() =>
    frame({ type: Type.data, stream: 9_999, body: Buffer.alloc(9) })
  ),
  'a flood of streams that are reset at once': flood(session => session.openAndReset()),
  'a flood of messages above the limit': onManyStreams(async session => {
    const stream = await session.messages()
    await stream.send(varint(100_000))
    await stream.closed
  }),
  'a flood of messages above the limit, each behind a good one': onManyStreams(async session => {
    const stream = await session.messages()
    await stream.send(Buffer.concat([Buffer.from([0]), varint(100_000)]))
    await stream.closed
  }),
  /** Of messages that never end. */
  'a flood of frames of one byte': onSession(async session => {
    const streams = await Promise.all(Array.from({ length: 200 }, async () => session.messages()))
    for (const stream of streams) await stream.send(varint(4_000))
    const body = Buffer.alloc(1)
    const round = Buffer.concat(streams.map(({ id }) => frame({ type: Type.data, stream: id, body })))
    while (session.open) await session.send(round)
  }),
  /** Each stream carries a message in the end. */
  'a flood of protocols that are not spoken': onManyStreams(async session => {
    const names = lines(MULTISTREAM, ...Array.from({ length: 29 }, (_, i) => `/${i}`), COMMS)
    const stream = await session.stream()
    await stream.send(Buffer.concat([names, Buffer.from([1, 7])]), Flag.fin)
    await stream.closed
  }),
  'a flood of streams without a message': onManyStreams(async session => {
    const stream = await session.messages()
    await stream.end()
    await stream.closed
  })
}

export { propose }
