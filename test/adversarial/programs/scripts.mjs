// Scripted sessions: a valid handshake, then whatever the script says, right or wrong.
import { COMMS, lines, MULTISTREAM } from '../../support/wire/session.mjs'
import { accept, prefixed } from '../../support/wire/lines.mjs'
import { record } from '../../support/wire/noise.mjs'
import { Flag, Type } from '../../support/wire/yamux.mjs'

/** A node that has worked off a script answers a ping; one that waits for the rest of a frame does not. */
const ANSWER_MS = 400
const LAST_PING = 0x7e57

/** Bytes that depend on number and size alone: a message says which one it is. */
export function numbered(stream, number, size) {
  const bytes = Buffer.alloc(Math.max(8, size), number)
  bytes.writeUInt32BE(stream, 0)
  bytes.writeUInt32BE(number, 4)
  return bytes
}

const steps = {
  open: async run => {
    const stream = await run.session.stream()
    await stream.send(lines(MULTISTREAM, COMMS))
    run.streams.push({ stream, sent: 0 })
  },
  /** For a protocol that the node does not have; with `keep` the stream is used all the same. */
  ask: async (run, { protocol, keep }) => {
    const stream = await run.session.stream()
    await stream.send(lines(MULTISTREAM, protocol))
    if (keep) run.streams.push({ stream, sent: 0 })
    else await stream.abort()
  },
  message: async (run, { at, size }) => {
    const one = run.pick(at)
    if (one === undefined) return
    await one.stream.send(prefixed(numbered(one.stream.id, one.sent++, size)))
  },
  bytes: async (run, { at, hex }) => {
    const stream = run.pick(at)?.stream
    if (stream === undefined) return
    run.confused.add(stream.id)
    await stream.send(Buffer.from(hex, 'hex'))
  },
  end: async (run, { at }) => run.pick(at)?.stream.end(),
  abort: async (run, { at }) => run.pick(at)?.stream.abort(),
  lastWithEnd: async (run, { at, size }) => {
    const one = run.pick(at)
    if (one === undefined) return
    await one.stream.send(prefixed(numbered(one.stream.id, one.sent++, size)), Flag.fin)
  },
  window: async (run, { at, length }) => {
    const stream = run.pick(at)?.stream.id
    if (stream !== undefined) await run.session.frame({ type: Type.windowUpdate, stream, length })
  },
  ping: async (run, { length }) => run.session.frame({ type: Type.ping, flags: Flag.syn, length }),
  frame: async (run, { size, ...fields }) => {
    run.confused.add(fields.stream)
    // Bytes beyond those announced begin another frame, for whatever stream.
    if (fields.type !== Type.data || fields.length !== size) run.lost = true
    await run.session.frame({ ...fields, body: Buffer.alloc(size, 1) })
  },
  raw: async (run, { hex }) => {
    run.lost = true
    await run.session.send(Buffer.from(hex, 'hex'))
  },
  record: async (run, { hex }) => run.session.wire.send(record(Buffer.from(hex, 'hex'))),
  /** Written on the streams that the node has opened for its own messages. */
  answer: async (run, { hex }) => {
    for (const stream of run.served) await stream.send(Buffer.from(hex, 'hex'))
  },
  goAway: async (run, { code }) => run.session.frame({ type: Type.goAway, length: code }),
  rest: async () => new Promise(resolve => setTimeout(resolve, 5))
}

/** Connects; done when the node has said something through the muxer. `conduct`: what to do with its messages. */
export async function begin(peer, conduct) {
  const session = await peer.connect()
  const run = {
    session,
    streams: [],
    served: [],
    /** Streams with bytes that are no messages of the script's, and whether any stream may have such. */
    confused: new Set(),
    lost: false,
    pick: at => (run.streams.length === 0 ? undefined : run.streams[at % run.streams.length])
  }
  session.onStream = stream => {
    run.served.push(stream)
    if (conduct === 'serve') void stream.serve().catch(() => {})
    else if (conduct === 'agree') void accept(stream, COMMS).catch(() => {})
  }
  await new Promise(resolve => {
    session.onFrame = resolve
    void session.ended.then(resolve)
  })
  return run
}

/**
 * Plays a script and waits until the node has worked it off: whether the connection is still there, and the streams that
 * carry messages and nothing else.
 */
export async function play(run, script) {
  const { session } = run
  let answered
  const worked = new Promise(resolve => (answered = resolve))
  session.onFrame = ({ type, flags, length }) => {
    if (type === Type.ping && (flags & Flag.ack) > 0 && length === LAST_PING) answered()
  }
  for (const { op, ...rest } of script) {
    if (!session.open) break
    await steps[op](run, rest)
  }
  if (session.open) await session.frame({ type: Type.ping, flags: Flag.syn, length: LAST_PING })
  let timer
  const patience = new Promise(resolve => (timer = setTimeout(resolve, ANSWER_MS)))
  await Promise.race([worked, patience, session.wire.closed])
  clearTimeout(timer)
  const clean = run.lost ? [] : run.streams.map(({ stream }) => stream.id).filter(id => !run.confused.has(id))
  return { open: session.open, clean }
}
