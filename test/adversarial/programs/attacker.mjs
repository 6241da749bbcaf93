// A process of attackers, each with an address and keys of its own, that do what their parent asks over IPC.
import { prefixed, readLine, varint } from '../../support/wire/lines.mjs'
import { handshakeAttacks, cutThird, damagedHandshake } from './attacks-on-handshakes.mjs'
import { peerAttacks } from './attacks-by-peers.mjs'
import { assaults } from './assaults.mjs'
import { floods } from './floods.mjs'
import { begin, play } from './scripts.mjs'
import { readIdentity } from '../../support/wire/identity.mjs'
import {
  accept,
  COMMS,
  connect,
  lines,
  MULTISTREAM,
  NOISE,
  untilThird,
  Wire
} from '../../support/wire/session.mjs'
import { Flag, frame, Type } from '../../support/wire/yamux.mjs'
import { serve } from './serve.mjs'

/** One attacker. */
class Attacker {
  constructor({ port, from, key, other, seed }) {
    this.target = { port, from }
    this.identity = readIdentity(key)
    this.other = readIdentity(other)
    this.state = seed
  }

  async wire() {
    return Wire.connect(this.target)
  }

  /** Settles when the node has accepted every connection made so far: it accepts them in order. */
  async accepted() {
    const { port, from } = this.target
    const witness = await Wire.connect({ port, from: from.replace(/^127\.\d+/, '127.99') })
    await witness.send(lines(MULTISTREAM))
    await witness.read(1).catch(() => {})
    witness.end()
  }

  async connect(options) {
    return connect(this.target, this.identity, options)
  }

  /** The connection in use, or a new one. */
  async session() {
    if (this.current?.open === true && this.current.spent !== true) return this.current
    this.opening ??= this.open().finally(() => (this.opening = undefined))
    return this.opening
  }

  async open() {
    this.held = undefined
    const session = await this.connect()
    // A message that the node takes shows that it has let this peer in.
    const stream = await session.messages()
    await stream.send(Buffer.from([0]))
    await stream.readAck()
    await stream.end()
    await stream.closed
    this.current = session
    return session
  }

  /** Bytes that depend on the seed alone (xorshift32). */
  random(count) {
    const bytes = Buffer.alloc(count)
    for (let i = 0; i < count; i++) {
      this.state ^= this.state << 13
      this.state ^= this.state >>> 17
      this.state ^= this.state << 5
      bytes[i] = this.state
    }
    return bytes
  }
}

/** How the node's messages are answered; `release` sends what has been held back. */
const ANSWERS = {
  accepted: stream => stream.serve(0),
  full: stream => stream.serve(1),
  held: async (stream, attacker) => {
    await accept(stream, COMMS)
    for (;;) {
      await stream.readMessage()
      attacker.heldAcks.push(stream)
    }
  },
  ended: async stream => {
    await accept(stream, COMMS)
    await stream.readMessage()
    await stream.end()
  },
  unknown: async stream => {
    await stream.read(20)
    await stream.send(lines(MULTISTREAM, 'na'))
  }
}

const attackers = new Map()

const methods = {
  create: ({ actor, ...init }) => void attackers.set(actor, new Attacker(init)),
  attack: async ({ actor, name }) => {
    const attack = handshakeAttacks[name] ?? peerAttacks[name]
    return attack(attackers.get(actor))
  },
  flood: async ({ actor, name, bytes, ...options }) => floods[name](attackers.get(actor), bytes, options),
  /** Whole handshakes, one after the other, each closed once the node has said something through it. */
  handshakes: async ({ actor, count }) => {
    for (let i = 0; i < count; i++) {
      const session = await attackers.get(actor).connect()
      await new Promise(resolve => {
        session.onFrame = resolve
        void session.ended.then(resolve)
      })
      session.wire.end()
      await session.wire.closed
    }
  },
  /** Connections that the node ends; the bytes that it sent through all of them. */
  knocks: async ({ actor, count }) => {
    let bytes = 0
    for (let i = 0; i < count; i++) {
      // A reset may come before the connection is known to be there.
      const wire = await attackers
        .get(actor)
        .wire()
        .catch(() => undefined)
      await wire?.closed
      bytes += wire?.received ?? 0
    }
    return bytes
  },
  /** Repeats an attack without a pause for so long; how many attempts that were. */
  assault: async ({ actor, name, ms, atOnce = 8 }) => {
    const attacker = attackers.get(actor)
    const end = performance.now() + ms
    let attempts = 0
    const one = async () => {
      while (performance.now() < end) {
        attempts++
        await assaults[name](attacker).catch(() => {})
        // Failures may come without the event loop having had its turn.
        await new Promise(resolve => setImmediate(resolve))
      }
    }
    const all = Promise.all(Array.from({ length: atOnce }, one))
    setTimeout(() => attacker.current?.wire.reset(), ms)
    await Promise.race([all, new Promise(resolve => setTimeout(resolve, ms + 500))])
    return attempts
  },
  begin: async ({ actor, conduct }) => {
    const attacker = attackers.get(actor)
    attacker.run = await begin(attacker, conduct)
  },
  play: async ({ actor, script }) => play(attackers.get(actor).run, script),
  finish: async ({ actor }) => {
    const { wire } = attackers.get(actor).run.session
    wire.end()
    return wire.closed
  },
  damaged: async ({ actor, ...damage }) => damagedHandshake(attackers.get(actor), damage),
  cutThird: async ({ actor, count }) => cutThird(attackers.get(actor), count),
  /** A connection that is open while others offend: its handshake is under way. */
  linger: async ({ actor }) => {
    const attacker = attackers.get(actor)
    attacker.lingering = await attacker.wire()
  },
  /** Dials twice at once, and gives the slower dial up, so far as it has come, when the other has succeeded. */
  dialTwice: async ({ actor, stage, reset = false }) => {
    const attacker = attackers.get(actor)
    const slow = await attacker.wire()
    if (stage > 0) await slow.send(lines(MULTISTREAM, NOISE))
    if (stage > 1) for (let i = 0; i < 2; i++) await readLine(slow)
    if (stage > 2) await untilThird(slow)
    const entered = methods.enter({ actor })
    if (stage % 2 === 0) await entered
    if (reset) slow.reset()
    else slow.end()
    await slow.closed
    return entered
  },
  accepted: async ({ actor }) => attackers.get(actor).accepted(),
  /** Settles when nothing of this attacker is connected any more. */
  ended: async ({ actor }) => {
    const { lingering, current } = attackers.get(actor)
    await Promise.all([lingering?.closed, current?.wire.closed])
  },
  /** Connects; done when the node has taken a message. */
  open: async ({ actor, answer = 'accepted' }) => {
    const attacker = attackers.get(actor)
    const session = await attacker.session()
    attacker.heldAcks = []
    session.onStream = stream => void ANSWERS[answer](stream, attacker).catch(() => {})
  },
  close: async ({ actor }) => {
    const { wire } = attackers.get(actor).current
    wire.end()
    return wire.closed
  },
  isOpen: ({ actor }) => attackers.get(actor).current?.open === true,
  /** Acks what was held back. */
  release: async ({ actor }) => {
    for (const stream of attackers.get(actor).heldAcks.splice(0)) await stream.send(Buffer.from([1, 0]))
  },
  /** Sends messages, `streams` at a time, each on a stream of its own; how many the node took. */
  messages: async ({ actor, count, size = 10, streams = 1 }) => {
    const session = await attackers.get(actor).session()
    let left = count
    let taken = 0
    const one = async () => {
      while (left-- > 0) {
        const stream = await session.messages()
        await stream.send(prefixed(Buffer.alloc(size, 5)))
        await stream.end()
        if ((await stream.readAck()) === 0) taken++
        await stream.closed
      }
    }
    await Promise.all(Array.from({ length: streams }, one))
    return taken
  },
  /** Messages on one stream, cut into frames of so many bytes; how many the node took. */
  inPieces: async ({ actor, count, size, bytes }) => {
    const session = await attackers.get(actor).session()
    const stream = await session.messages()
    const message = prefixed(Buffer.alloc(size, 5))
    const frames = []
    for (let at = 0; at < message.length; at += bytes) {
      const body = message.subarray(at, at + bytes)
      frames.push(frame({ type: Type.data, stream: stream.id, body }))
    }
    const piece = Buffer.concat(frames)
    let taken = 0
    for (let i = 0; i < count; i++) {
      await session.send(piece)
      if ((await stream.readAck()) === 0) taken++
    }
    await stream.end()
    await stream.closed
    return taken
  },
  /** Negotiation, a message and the end of the stream without waiting for an answer; the ack. */
  allAtOnce: async ({ actor, frames, before = [] }) => {
    const session = await attackers.get(actor).session()
    const stream = await session.stream()
    const negotiation = lines(MULTISTREAM, ...before, COMMS)
    const message = Buffer.from([2, 7, 7])
    if (frames === 1) await stream.send(Buffer.concat([negotiation, message]), Flag.fin)
    else {
      const pieces = [
        { type: Type.data, stream: stream.id, body: negotiation },
        { type: Type.data, stream: stream.id, body: message },
        { type: Type.windowUpdate, flags: Flag.fin, stream: stream.id }
      ]
      await session.send(Buffer.concat(pieces.map(frame)))
    }
    for (let i = 0; i < before.length + 2; i++) await readLine(stream)
    const status = await stream.readAck()
    await stream.closed
    return status
  },
  /** A whole stream in one piece, its end, and another message behind that; the first ack. */
  behindTheEnd: async ({ actor }) => {
    const session = await attackers.get(actor).session()
    const stream = await session.stream()
    const pieces = [
      { type: Type.data, stream: stream.id, body: lines(MULTISTREAM, COMMS) },
      { type: Type.data, flags: Flag.fin, stream: stream.id, body: Buffer.from([2, 7, 7]) },
      { type: Type.data, stream: stream.id, body: Buffer.from([2, 8, 8]) }
    ]
    await session.send(Buffer.concat(pieces.map(frame)))
    await readLine(stream)
    await readLine(stream)
    const status = await stream.readAck()
    await stream.closed
    if (stream.held.length > 0) throw new Error('an ack too many')
    return status
  },
  /** The last bytes of a message and the end of its stream in one frame. */
  lastBytesWithEnd: async ({ actor }) => {
    const stream = await (await attackers.get(actor).session()).messages()
    await stream.send(Buffer.from([3, 1, 2]))
    await stream.send(Buffer.from([3]), Flag.fin)
    return stream.readAck()
  },
  /** Goes on writing to a stream that the node has reset for a message above its limit; the status of that. */
  writeAfterRefusal: async ({ actor, length }) => {
    const stream = await (await attackers.get(actor).session()).messages()
    await stream.send(varint(length))
    const status = await stream.readAck()
    await stream.closed
    for (let i = 0; i < 100; i++) await stream.send(Buffer.alloc(1_000))
    return status
  },
  /** A message above the node's limit, and behind it, without waiting, small ones in a frame each: most of a window. */
  smallBehindRefusal: async ({ actor, length, count }) => {
    const session = await attackers.get(actor).session()
    const stream = await session.messages()
    const bodies = [Buffer.concat([varint(length), Buffer.alloc(length)])]
    for (let i = 0; i < count; i++) bodies.push(prefixed(Buffer.alloc(10)))
    await session.send(Buffer.concat(bodies.map(body => frame({ type: Type.data, stream: stream.id, body }))))
    const status = await stream.readAck()
    await stream.closed
    return status
  },
  goAway: async ({ actor, code }) => {
    const { current } = attackers.get(actor)
    await current.frame({ type: Type.goAway, length: code })
    return current.wire.closed
  },
  /** The beginning of a message, the end of its stream and that of the connection, all at once. */
  cutAndLeave: async ({ actor }) => {
    const session = await attackers.get(actor).session()
    const stream = await session.messages()
    const pieces = [
      { type: Type.data, stream: stream.id, body: Buffer.from([5, 1, 2]) },
      { type: Type.windowUpdate, flags: Flag.fin, stream: stream.id },
      { type: Type.goAway }
    ]
    await session.send(Buffer.concat(pieces.map(frame)))
    return session.wire.closed
  },
  /** Asks for protocols that the node does not have, as nodes of other implementations do; the answers. */
  ask: async ({ actor, protocols }) => {
    const session = await attackers.get(actor).session()
    const answers = []
    for (const protocol of protocols) {
      const stream = await session.stream()
      await stream.send(lines(MULTISTREAM, protocol))
      await readLine(stream)
      answers.push(await readLine(stream))
      await stream.abort()
    }
    return answers
  },
  ping: async ({ actor, count }) => {
    const { current } = attackers.get(actor)
    let answers = 0
    current.onFrame = ({ type, flags }) => {
      if (type === Type.ping && (flags & Flag.ack) > 0) answers++
    }
    for (let i = 0; i < count; i++) await current.frame({ type: Type.ping, flags: Flag.syn, length: i })
    await (await current.messages()).end()
    return answers
  },
  /**
   * Waits for nothing: two messages are written behind the handshake, in one segment with its end. The second one is in
   * two records, and the segment ends in the middle of the last. Their statuses.
   */
  hurry: async ({ actor, messages: [long, short] }) => {
    const second = prefixed(Buffer.from(short))
    const half = second.length >> 1
    let stream, rest
    const trailing = session => {
      // Nothing may come between the two parts of the last record.
      session.grantWindow = session.answerPings = false
      session.onStream = () => {}
      stream = session.reserveStream()
      const write = fields => session.seal(frame({ stream: stream.id, ...fields }))
      const records = [
        write({ type: Type.windowUpdate, flags: Flag.syn }),
        write({ type: Type.data, body: lines(MULTISTREAM, COMMS) }),
        write({ type: Type.data, body: prefixed(Buffer.from(long)) }),
        write({ type: Type.data, body: second.subarray(0, half), length: second.length }),
        session.seal(second.subarray(half))
      ]
      rest = records[4].subarray(10)
      return Buffer.concat([...records.slice(0, 4), records[4].subarray(0, 10)])
    }
    const session = await attackers.get(actor).connect({ trailing })
    await stream.read(lines(MULTISTREAM, COMMS).length)
    const first = await stream.readAck()
    await session.wire.send(rest)
    return [first, await stream.readAck()]
  },
  /** Tries to come in like anybody: what the node said, and whether it took a message. */
  enter: async ({ actor }) => {
    const attacker = attackers.get(actor)
    let wire
    try {
      wire = await attacker.wire()
      wire.socket.unref()
      const session = await connect({ wire }, attacker.identity)
      const stream = await session.messages()
      await stream.send(Buffer.from([1, 1]))
      const status = await stream.readAck()
      wire.end()
      await wire.closed
      return { admitted: status === 0, bytes: wire.received }
    } catch (err) {
      wire?.end()
      return { admitted: false, bytes: wire?.received ?? 0, reason: String(err.message) }
    }
  }
}

serve(methods)
