/**
 * A bitvmx-p2p node behind the contract of the reference peers.
 *
 *     node peer.mjs --key HEX [--options JSON]
 *     node peer.mjs vectors FILE
 *
 * What the application has no say in, it does not offer: how messages are answered, raw bytes, ping. `receive` with acks
 * "1" stops reading events instead. It adds `allow`, `remove`, `untilConnected`, `untilCharged`, `events` and
 * `inspect`.
 */
import { P2p, peerIdFromPrivateKey } from '../../../dist/index.js'
import { Inboxes, testMessage } from '../contract/messages.mjs'
import { option, serve } from '../contract/serve.mjs'
import { Happenings } from './happenings.mjs'
import { checkVectors } from './vectors.mjs'

if (process.argv[2] === 'vectors') process.exit(checkVectors(process.argv[3]))

const key = option('key')
const options = JSON.parse(option('options') ?? '{"allowList":"allow-all"}')
const inboxes = new Inboxes()
const happenings = new Happenings()
/** Who waits for the outcome of a message, by the id of its command. */
const outcomes = new Map()

let p2p
/** Holds up the reading of events: the application that does not look. */
let reading = { on: true, resume: () => {} }

/** The node; it listens somewhere, whether or not anybody is told where. */
function node(address = '/ip4/127.0.0.1/tcp/0') {
  if (p2p !== undefined) return p2p
  p2p = P2p.start(address, key, options)
  void read()
  return p2p
}

async function read() {
  for await (const event of p2p.receiver) {
    take(event)
    if (!reading.on) await new Promise(resolve => (reading.resume = resolve))
  }
  for (const settle of outcomes.values()) settle({ ok: false, reason: 'stopped' })
}

function take(event) {
  if (event.type === 'Data') return inboxes.add(event.peerId, Buffer.from(event.data))
  if (event.type === 'Status') {
    outcomes.get(event.id)?.(event)
    outcomes.delete(event.id)
  }
  happenings.add(event)
  if (event.type === 'Disconnected') inboxes.gone(event.peerId)
}

/** Sends one message, and settles with its Status. */
async function sendOne(peerId, data) {
  const id = node().sender.sendMsg(peerId, data)
  return new Promise(resolve => outcomes.set(id, resolve))
}

async function send({ peerId, count, size, mode, window }) {
  if (mode !== 'long') throw new Error('this module sends on long-lived streams')
  const acks = { 0: 0, 1: 0, 2: 0 }
  const reasons = {}
  let unanswered = 0
  let next = 0
  const start = performance.now()
  const sender = async () => {
    while (next < count) {
      const { ok, reason } = await sendOne(peerId, testMessage(next++, size))
      if (ok) acks[0]++
      else if (reason === 'refused-full') acks[1]++
      else if (reason === 'refused-too-large') acks[2]++
      else unanswered++
      if (!ok) reasons[reason] = (reasons[reason] ?? 0) + 1
    }
  }
  await Promise.all(Array.from({ length: Math.min(window, count) }, sender))
  return { acks, unanswered, reasons, ms: performance.now() - start }
}

/** The bucket of a peer, as soon as so many tokens have been taken from it. */
async function untilCharged({ peerId, tokens, capacity }) {
  for (;;) {
    const { buckets } = await node().runtime.inspectAsync()
    const bucket = buckets.find(({ peerId: of }) => of === peerId)
    if (bucket !== undefined && capacity - bucket.tokens > tokens - 0.5) return { bucket }
  }
}

async function dial({ peerId, address }) {
  const start = performance.now()
  const id = node().sender.dial(peerId, address)
  const answer = happenings.until(({ type, id: of }) => of === id && type !== 'Status')
  // A peer that has dialled us meanwhile is connected, and the command needs no event of its own.
  const event = await Promise.race([answer, happenings.untilConnected(peerId, true)])
  if (event?.type === 'Error') throw new Error(`${event.code}: ${event.message}`)
  return { ms: performance.now() - start }
}

function receive({ acks }) {
  if (acks !== '0' && acks !== '1') throw new Error('the application does not write acks')
  node()
  reading.on = acks === '0'
  if (reading.on) reading.resume()
}

await serve(
  { peerId: peerIdFromPrivateKey(key), implementation: 'bitvmx-p2p', modes: ['long'] },
  {
    listen: ({ address }) => ({ addresses: node(address).addresses }),
    dial,
    send,
    receive,
    expect: async ({ peerId, count }) => inboxes.take(peerId, count),
    connected: ({ peerId }) => ({ connected: happenings.connected.has(peerId) }),
    untilConnected: async ({ peerId }) => happenings.untilConnected(peerId, true),
    untilDisconnected: async ({ peerId }) => happenings.untilConnected(peerId, false),
    disconnect: ({ peerId }) => void node().sender.disconnectFrom(peerId),
    allow: ({ entry }) => void node().allowList.add(entry),
    remove: ({ peerId }) => ({ removed: node().allowList.remove(peerId) }),
    events: () => ({ ...happenings.drain(), priority: p2p?.priority.drain() ?? [] }),
    untilCharged,
    inspect: async () => node().runtime.inspectAsync()
  },
  async () => {
    p2p?.stop()
    await p2p?.runtime.closed
  }
)
