// Attacks on CPU and memory: each writes as fast as it can until the node ends the connection, or `bytes` are written.
import {
  connect,
  lines,
  MULTISTREAM,
  negotiateNoise,
  payload,
  record,
  Session,
  untilThird,
  COMMS,
  Wire
} from '../../support/wire/session.mjs'
import { prefixed, readLine, varint } from '../../support/wire/lines.mjs'
import { Flag, frame, Type } from '../../support/wire/yamux.mjs'

const CHUNK_BYTES = 65_536
const MIB = 2 ** 20
/** A node that has taken nothing for so long, in milliseconds, reads no more. */
const QUIET_MS = 2_000

/** Writes `chunk` until the connection ends or so many bytes are out. */
async function pour(wire, chunk, bytes) {
  for (let left = bytes; left > 0 && wire.open; left -= chunk.length) await wire.send(chunk)
}

/** Batches of frames, sealed one after the other. */
async function pourFrames(session, make, bytes) {
  for (let left = bytes; left > 0 && session.open;) {
    const batch = Buffer.concat(Array.from({ length: 1_000 }, make))
    left -= batch.length
    await session.send(batch)
  }
}

/** Does something so many times, several at once; failures are the node's right. */
async function many(count, act) {
  let next = 0
  const one = async () => {
    while (next < count) await act(next++).catch(() => {})
  }
  await Promise.all(Array.from({ length: 32 }, one))
}

/** An address of this machine for each number. */
function address(number) {
  return `127.20.${number >> 7}.${(number & 0x7f) + 1}`
}

/** Opens a stream for messages without waiting for the node to agree; its number. */
async function openMessages(session) {
  const stream = session.nextStream
  session.nextStream += 2
  const syn = frame({ type: Type.windowUpdate, flags: Flag.syn, stream })
  await session.send(
    Buffer.concat([syn, frame({ type: Type.data, stream, body: lines(MULTISTREAM, COMMS) })])
  )
  return stream
}

/** Fills the way back with acks of empty messages, as many as the windows of some streams take, and reads none. */
async function fillWayBack(session) {
  session.wire.socket.pause()
  for (let i = 0; i < 40; i++) {
    const stream = await openMessages(session)
    for (let k = 0; k < 3; k++) {
      await session.frame({ type: Type.data, stream, body: Buffer.alloc(50_000) })
    }
  }
}

async function pause(ms) {
  await new Promise(resolve => setTimeout(resolve, ms))
}

async function end(wire) {
  wire.reset()
  await wire.closed
}

export const floods = {
  /** From many addresses; most of them find no room. */
  'connections that stay silent': async (peer, bytes, { count }) => {
    const wires = []
    await many(count, async i => {
      const wire = await Wire.connect({ ...peer.target, from: address(i) })
      await wire.send(lines(MULTISTREAM))
      wires.push(wire)
    })
    for (const wire of wires) wire.reset()
    await Promise.all(wires.map(wire => wire.closed))
  },
  'connections that are reset at once': async (peer, bytes, { count }) =>
    many(count, async i => end(await Wire.connect({ ...peer.target, from: address(i) }))),
  'handshakes of strangers': async (peer, bytes, { count }) =>
    many(count, async i => {
      const { wire } = await connect({ ...peer.target, from: address(i) }, peer.other)
      await wire.closed
    }),
  'ff before anything': async (peer, bytes) => {
    const wire = await peer.wire()
    await pour(wire, Buffer.alloc(CHUNK_BYTES, 0xff), bytes)
    await end(wire)
  },
  'ff after the first line': async (peer, bytes) => {
    const wire = await peer.wire()
    await wire.send(lines(MULTISTREAM))
    await readLine(wire)
    await pour(wire, Buffer.alloc(CHUNK_BYTES, 0xff), bytes)
    await end(wire)
  },
  'a record of the handshake that never ends': async (peer, bytes) => {
    const wire = await peer.wire()
    await negotiateNoise(wire)
    await pour(wire, Buffer.alloc(CHUNK_BYTES, 0xff), bytes)
    await end(wire)
  },
  'ff instead of the name of a muxer': async (peer, bytes) => {
    const wire = await peer.wire()
    await negotiateNoise(wire)
    const handshake = await untilThird(wire)
    const { publicKey } = handshake.staticKey
    await wire.send(record(handshake.writeThird(payload(peer.identity, publicKey, { muxers: [] }))))
    const session = new Session(wire, handshake.split(), 1)
    const chunk = Buffer.alloc(CHUNK_BYTES, 0xff)
    for (let left = bytes; left > 0 && wire.open; left -= CHUNK_BYTES) await session.send(chunk)
    await end(wire)
  },
  'ff instead of the name of a protocol': async (peer, bytes) => {
    const session = await peer.session()
    const stream = await session.stream()
    for (let left = bytes; left > 0 && session.open; left -= CHUNK_BYTES) {
      await stream.send(Buffer.alloc(CHUNK_BYTES, 0xff))
    }
    await end(session.wire)
  },
  'endless lengths of messages': async (peer, bytes) => {
    const session = await peer.session()
    for (let left = bytes; left > 0 && session.open; left -= CHUNK_BYTES) {
      const stream = await session.messages()
      await stream.send(Buffer.alloc(CHUNK_BYTES, 0xff))
      await stream.closed
    }
    await end(session.wire)
  },
  'a muxer frame of 300 MiB': async (peer, bytes) => {
    const session = await peer.session()
    await session.send(frame({ type: Type.data, stream: 1, length: 300 * MIB }))
    const chunk = Buffer.alloc(CHUNK_BYTES)
    for (let left = bytes; left > 0 && session.open; left -= CHUNK_BYTES) await session.send(chunk)
    await end(session.wire)
  },
  'pings whose answers are not read': async (peer, bytes) => {
    const session = await peer.session()
    session.wire.socket.pause()
    await pourFrames(session, () => frame({ type: Type.ping, flags: Flag.syn, length: 7 }), bytes)
    await end(session.wire)
  },
  /** While the end of the connection waits for what this peer does not read. */
  'goodbyes of the muxer': async (peer, bytes) => {
    const session = await peer.session()
    await fillWayBack(session)
    const goodbye = frame({ type: Type.goAway })
    const count = Math.ceil(bytes / goodbye.length)
    await session.send(Buffer.concat(Array.from({ length: count }, () => goodbye)))
    await end(session.wire)
  },
  /**
   * A window update makes the node write what it holds for a stream: acks of a whole window of empty messages. That is
   * more than may wait to be written, so it hangs up, however long it takes to come to that.
   */
  'acks that are asked for and not read': async (peer, bytes) => {
    const session = await peer.session()
    await fillWayBack(session)
    const streams = []
    for (let left = bytes; left > 0;) {
      const stream = await openMessages(session)
      streams.push(stream)
      for (let k = 0; k < 4; k++) {
        left -= 60_000
        await session.frame({ type: Type.data, stream, body: Buffer.alloc(60_000) })
      }
    }
    const update = stream => frame({ type: Type.windowUpdate, stream, length: CHUNK_BYTES * 2 })
    const updates = Buffer.concat(streams.map(update))
    // Few enough to be no flood of frames without content.
    for (let i = 0; i < 200 && session.open; i++) {
      await session.send(updates)
      await pause(100)
    }
    if (session.open) throw new Error('the node goes on writing')
    await end(session.wire)
  },
  'streams whose refusals are not read': async (peer, bytes) => {
    const session = await peer.session()
    session.wire.socket.pause()
    const open = () => {
      const stream = session.nextStream
      session.nextStream += 2
      return frame({ type: Type.windowUpdate, flags: Flag.syn, stream })
    }
    await pourFrames(session, open, bytes)
    await end(session.wire)
  },
  'streams that are reset at once': async (peer, bytes) => {
    const session = await peer.session()
    const openAndReset = () => {
      const stream = session.nextStream
      session.nextStream += 2
      return Buffer.concat([
        frame({ type: Type.windowUpdate, flags: Flag.syn, stream }),
        frame({ type: Type.windowUpdate, flags: Flag.rst, stream })
      ])
    }
    await pourFrames(session, openAndReset, bytes)
    await end(session.wire)
  },
  /** Whole messages, which nobody takes out of the receiver channel. */
  'messages that nobody reads': async (peer, bytes) => {
    const session = await peer.session()
    const stream = await session.messages()
    const message = prefixed(Buffer.alloc(CHUNK_BYTES - 3))
    for (let left = bytes; left > 0 && session.open; left -= CHUNK_BYTES) {
      await stream.window(message.length)
      await stream.send(message)
    }
    await end(session.wire)
  },
  /** Whole windows of many streams, of messages that lack their last byte, until the node reads no more of any. */
  'messages without their last byte': async (peer, bytes, { maxMessageBytes }) => {
    const session = await peer.session()
    const streams = Math.min(240, Math.ceil(bytes / maxMessageBytes))
    const opened = await Promise.all(Array.from({ length: streams }, async () => session.messages()))
    const fill = async stream => {
      await stream.send(varint(maxMessageBytes))
      for (let left = maxMessageBytes - 1; left > 0 && !stream.finished; left -= CHUNK_BYTES) {
        await stream.window(Math.min(left, CHUNK_BYTES))
        await stream.send(Buffer.alloc(Math.min(left, CHUNK_BYTES)))
        sent++
      }
    }
    let sent = 0
    let isDone = false
    void Promise.all(opened.map(fill)).finally(() => (isDone = true))
    for (let before = -1; !isDone && sent > before;) {
      before = sent
      await new Promise(resolve => setTimeout(resolve, QUIET_MS))
    }
    return session.open
  },
  /** Data for streams whose negotiation waits, because the node cannot get rid of its answer. */
  'data behind negotiations that are stuck': async (peer, bytes) => {
    const session = await peer.session()
    // The first streams to end when the node has had enough: nothing waits on them.
    for (let i = 0; i < 2; i++) await session.stream()
    await fillWayBack(session)
    const streams = []
    for (let i = 0; i < 200; i++) streams.push(await openMessages(session))
    const body = Buffer.alloc(CHUNK_BYTES, 0x70)
    for (let left = bytes; left > 0 && session.open;) {
      for (const stream of streams) {
        left -= CHUNK_BYTES
        await session.frame({ type: Type.data, stream, body })
      }
    }
    await end(session.wire)
  },
  /** So many of them, each a whole stream, and many streams in one piece, so that the answers fill what is written. */
  'messages on streams of their own': async (peer, bytes, { count }) => {
    const session = await peer.session()
    const body = Buffer.concat([lines(MULTISTREAM, COMMS), Buffer.from([1, 7])])
    for (let left = count; left > 0; left -= 200) {
      const streams = Array.from({ length: 200 }, () => session.reserveStream())
      const opened = streams.map(({ id }) =>
        Buffer.concat([
          frame({ type: Type.windowUpdate, flags: Flag.syn, stream: id }),
          frame({ type: Type.data, flags: Flag.fin, stream: id, body })
        ])
      )
      await session.send(Buffer.concat(opened))
      await Promise.all(streams.map(async stream => stream.closed))
      if (!session.open) throw new Error('the node has ended the connection')
      for (const { id } of streams) session.streams.delete(id)
    }
    await end(session.wire)
  }
}
