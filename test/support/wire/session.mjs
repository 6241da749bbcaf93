// A peer that a byte-level program plays itself: handshake, records, frames and streams, each of them replaceable.
import { accept, COMMS, lines, MULTISTREAM, NOISE, propose, YAMUX } from './lines.mjs'
import { Handshake, record } from './noise.mjs'
import { payload } from './identity.mjs'
import { Wire } from './socket.mjs'
import { Flag, frame, FrameReader, Type, WINDOW } from './yamux.mjs'

/** Longest plaintext of a record. */
const RECORD_BYTES = 65_519

/** Negotiates Noise and reads the answer. */
export async function negotiateNoise(wire) {
  await propose(wire, NOISE)
}

/** Reads a record of the handshake. */
export async function readRecord(wire) {
  return wire.read((await wire.read(2)).readUInt16BE(0))
}

/** Noise up to and including message 2; what message 3 would be is the caller's. */
export async function untilThird(wire, options = {}) {
  const handshake = new Handshake({ initiator: true, ...options })
  await wire.send(record(handshake.writeFirst()))
  handshake.readSecond(await readRecord(wire))
  return handshake
}

/** A whole connection as the dialling side, to a node under test. */
export async function connect(target, identity, options = {}) {
  const wire = target.wire ?? (await Wire.connect(target))
  await negotiateNoise(wire)
  const handshake = await untilThird(wire)
  const { publicKey } = handshake.staticKey
  const third = record(handshake.writeThird(payload(identity, publicKey, options)))
  const session = new Session(wire, handshake.split(), 1)
  // `trailing` makes bytes that travel in one segment with message 3.
  await wire.send(Buffer.concat([third, options.trailing?.(session) ?? Buffer.alloc(0)]))
  if (options.muxers?.length === 0) await session.negotiateMuxer()
  session.run()
  return session
}

/** A whole connection as the listening side, from a node under test. */
export async function welcome(wire, identity, options = {}) {
  await accept(wire, NOISE)
  const handshake = new Handshake({ initiator: false })
  handshake.readFirst(await readRecord(wire))
  const { publicKey } = handshake.staticKey
  await wire.send(record(handshake.writeSecond(payload(identity, publicKey, options))))
  handshake.readThird(await readRecord(wire))
  const session = new Session(wire, handshake.split(), 2)
  session.run()
  return session
}

/** An encrypted and multiplexed connection. */
export class Session {
  constructor(wire, { sending, receiving }, firstStream) {
    this.wire = wire
    this.sending = sending
    this.receiving = receiving
    this.nextStream = firstStream
    this.streams = new Map()
    this.frames = new FrameReader(taken => this.#take(taken))
    this.plain = Buffer.alloc(0)
    /** Replaceable conduct. */
    this.answerPings = true
    this.grantWindow = true
    /** Called with each stream that the node opens. */
    this.onStream = stream => void stream.serve().catch(() => {})
    this.onFrame = undefined
  }

  get open() {
    return this.wire.open
  }

  /** Encrypts bytes into records. */
  seal(bytes) {
    const records = []
    for (let at = 0; at < bytes.length; at += RECORD_BYTES) {
      records.push(record(this.sending.encrypt(bytes.subarray(at, at + RECORD_BYTES))))
    }
    return Buffer.concat(records)
  }

  async send(bytes) {
    return this.wire.send(this.seal(bytes))
  }

  async frame(fields) {
    return this.send(frame(fields))
  }

  /** Negotiates the muxer as one does who did not name it in the handshake. */
  async negotiateMuxer() {
    await propose(
      {
        send: async bytes => this.send(bytes),
        read: async count => {
          while (this.plain.length < count) {
            this.plain = Buffer.concat([this.plain, this.receiving.decrypt(await readRecord(this.wire))])
          }
          const taken = this.plain.subarray(0, count)
          this.plain = this.plain.subarray(count)
          return taken
        }
      },
      YAMUX
    )
  }

  /** Reads what comes until the connection ends. */
  run() {
    this.frames.push(this.plain)
    this.ended = (async () => {
      for (;;) this.frames.push(this.receiving.decrypt(await readRecord(this.wire)))
    })().catch(() => {
      for (const stream of this.streams.values()) stream.close()
    })
  }

  /** Takes the next number for a stream; nothing is sent. */
  reserveStream() {
    const stream = new SessionStream(this, this.nextStream)
    this.nextStream += 2
    this.streams.set(stream.id, stream)
    return stream
  }

  /** Opens a stream, not negotiated. */
  async stream() {
    const stream = this.reserveStream()
    await this.frame({ type: Type.windowUpdate, flags: Flag.syn, stream: stream.id })
    return stream
  }

  /** The frames of a stream that is opened and reset at once; nothing is sent. */
  openAndReset() {
    const stream = this.nextStream
    this.nextStream += 2
    return Buffer.concat([
      frame({ type: Type.windowUpdate, flags: Flag.syn, stream }),
      frame({ type: Type.windowUpdate, flags: Flag.rst, stream })
    ])
  }

  /** Opens a stream for messages: done when the node has agreed. */
  async messages() {
    const stream = await this.stream()
    await propose(stream, COMMS)
    return stream
  }

  #take(taken) {
    this.onFrame?.(taken)
    const { type, flags, stream: id, length, body } = taken
    if (type === Type.ping && (flags & Flag.syn) > 0 && this.answerPings) {
      void this.frame({ type: Type.ping, flags: Flag.ack, length })
    }
    if (type > Type.windowUpdate) return
    let stream = this.streams.get(id)
    if (stream === undefined && (flags & Flag.syn) > 0) {
      stream = new SessionStream(this, id)
      this.streams.set(id, stream)
      this.onStream(stream)
    }
    stream?.take(type, flags, body, length)
    if (stream !== undefined && body.length > 0 && this.grantWindow) {
      void this.frame({ type: Type.windowUpdate, stream: id, length: body.length })
    }
  }
}

/** One stream of a session. */
export class SessionStream {
  constructor(session, id) {
    this.session = session
    this.id = id
    this.held = Buffer.alloc(0)
    /** The node has ended its writing, or reset the stream, or the connection is gone. */
    this.finished = false
    this.reset = false
    this.acks = []
    this.waiting = []
    this.closed = new Promise(resolve => (this.markClosed = resolve))
    /** What the node takes before it grants more; only `window` heeds it. */
    this.credit = WINDOW
  }

  /** Waits until the node takes so many bytes more. */
  async window(bytes) {
    while (this.credit < bytes && !this.finished) await new Promise(resolve => this.waiting.push(resolve))
  }

  take(type, flags, body, length) {
    if (type === Type.windowUpdate) this.credit += length
    if (type === Type.data) this.held = Buffer.concat([this.held, body])
    if ((flags & Flag.rst) > 0) this.reset = true
    if ((flags & (Flag.fin | Flag.rst)) > 0) this.close()
    this.#wake()
  }

  close() {
    this.finished = true
    this.markClosed(this.reset ? 'reset' : 'end')
    this.#wake()
  }

  #wake() {
    for (const wake of this.waiting.splice(0)) wake()
  }

  async read(count) {
    while (this.held.length < count) {
      if (this.finished) throw new Error(`stream ended (${this.reset ? 'reset' : 'end'})`)
      await new Promise(resolve => this.waiting.push(resolve))
    }
    const taken = this.held.subarray(0, count)
    this.held = this.held.subarray(count)
    return taken
  }

  async send(body, flags = 0) {
    this.credit -= body.length
    return this.session.frame({ type: Type.data, flags, stream: this.id, body })
  }

  async end() {
    return this.session.frame({ type: Type.windowUpdate, flags: Flag.fin, stream: this.id })
  }

  async abort() {
    return this.session.frame({ type: Type.windowUpdate, flags: Flag.rst, stream: this.id })
  }

  /** Agrees to take messages and answers each with `status`, or not at all. */
  async serve(status = 0) {
    await accept(this, COMMS)
    for (;;) {
      await this.readMessage()
      if (status !== undefined) await this.send(Buffer.from([1, status]))
    }
  }

  async readMessage() {
    let length = 0
    for (let shift = 0; ; shift += 7) {
      const [byte] = await this.read(1)
      length += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return this.read(length)
    }
  }

  /** The status of the next ack. */
  async readAck() {
    const [length] = await this.read(1)
    return (await this.read(length))[0]
  }
}

export { accept, COMMS, lines, MULTISTREAM, NOISE, payload, propose, record, Wire, YAMUX }
