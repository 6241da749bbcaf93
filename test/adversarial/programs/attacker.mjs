// A process of attackers, each with an address and keys of its own, that do what their parent asks over IPC.
import { handshakeAttacks, cutThird } from './attacks-on-handshakes.mjs'
import { peerAttacks } from './attacks-by-peers.mjs'
import { readIdentity } from './wire/identity.mjs'
import { connect, Wire } from './wire/session.mjs'

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

  async connect(options) {
    return connect(this.target, this.identity, options)
  }

  /** The connection in use, or a new one. */
  async session() {
    if (this.current?.open !== true) {
      this.held = undefined
      this.current = await this.connect()
      // A stream that the node agrees to shows that it has let this peer in.
      const stream = await this.current.messages()
      await stream.send(Buffer.from([0]))
      await stream.readAck()
    }
    return this.current
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

const attackers = new Map()

const methods = {
  create: ({ actor, ...init }) => void attackers.set(actor, new Attacker(init)),
  attack: async ({ actor, name }) => {
    const attack = handshakeAttacks[name] ?? peerAttacks[name]
    return attack(attackers.get(actor))
  },
  cutThird: async ({ actor, count }) => cutThird(attackers.get(actor), count),
  /** A connection that is open while others offend: its handshake is under way. */
  linger: async ({ actor }) => {
    const attacker = attackers.get(actor)
    attacker.lingering = await attacker.wire()
    // The node's end of it exists when the next connection is accepted.
  },
  lingeringEnded: async ({ actor }) => attackers.get(actor).lingering.closed,
  sessionEnded: async ({ actor }) => attackers.get(actor).current.wire.closed,
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
  },
  leave: ({ actor }) => void attackers.get(actor).current?.wire.end()
}

process.on('message', async ({ call, method, body }) => {
  try {
    process.send({ reply: call, value: await methods[method](body) })
  } catch (err) {
    process.send({ reply: call, error: { message: String(err?.stack ?? err) } })
  }
})
process.on('disconnect', () => process.exit())
