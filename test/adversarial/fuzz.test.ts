/** Random sessions of a byte-level peer: nothing it does stops the node, hangs it, or ends a connection without a word. */
import { generatePrivateKey } from 'bitvmx-p2p'
import type { P2pEvent } from 'bitvmx-p2p'
import * as fc from 'fast-check'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { launchLocal, stopLocal } from '../support/local-node.ts'
import type { LocalNode } from '../support/local-node.ts'
import { LONG } from '../support/node-process.ts'
import { createAttacker } from './attacker.ts'
import type { Attacker } from './attacker.ts'
import { startProgram } from './program.ts'
import type { Program } from './program.ts'

/** Of every property here; fast-check prints it with the path to what failed. */
const SEED = Number(process.env['BITVMX_SEED'] ?? 0x626974)
const SESSIONS = LONG ? 4_000 : 80
const HANDSHAKES = LONG ? 2_000 : 60
/** Damaged handshakes that are made at the same time. */
const AT_ONCE = 10
const TEST_MS = LONG ? 3_600_000 : 120_000
const EFFECT_MS = 30_000
const MAX_MESSAGE_BYTES = 4_096

interface Step {
  op: string
  [field: string]: unknown
}

const at = fc.nat(7)
const size = fc.oneof(fc.nat(200), fc.constantFrom(8, 127, 128, MAX_MESSAGE_BYTES))
const hex = (maxLength: number): fc.Arbitrary<string> =>
  fc.uint8Array({ minLength: 1, maxLength }).map(bytes => Buffer.from(bytes).toString('hex'))

/** What an honest peer may do, in any order. */
const valid: Array<fc.Arbitrary<Step>> = [
  fc.constant({ op: 'open' }),
  fc.record({ op: fc.constant('message'), at, size }),
  fc.record({ op: fc.constant('message'), at, size }),
  fc.record({ op: fc.constant('ping'), length: fc.nat() }),
  fc.record({ op: fc.constant('window'), at, length: fc.nat(100_000) }),
  fc.constant({ op: 'rest' }),
  fc.constant({ op: 'ask', protocol: '/ipfs/ping/1.0.0', keep: false })
]
/** And what only another may do, at some point. */
const anything: Array<fc.Arbitrary<Step>> = [
  ...valid,
  fc.constant({ op: 'ask', protocol: '/ipfs/ping/1.0.0', keep: true }),
  fc.record({ op: fc.constant('end'), at }),
  fc.record({ op: fc.constant('abort'), at }),
  fc.record({ op: fc.constant('lastWithEnd'), at, size }),
  fc.record({ op: fc.constant('bytes'), at, hex: hex(40) }),
  fc.record({
    op: fc.constant('bytes'),
    at,
    hex: fc.constantFrom('8001', '8000', 'ffffffff01', '05', 'ff7f')
  }),
  fc.record({
    op: fc.constant('frame'),
    version: fc.constantFrom(0, 0, 0, 1, 255),
    type: fc.nat(5),
    flags: fc.nat(31),
    stream: fc.oneof(fc.nat(12), fc.nat(0xffff_ffff)),
    length: fc.oneof(fc.nat(64), fc.constantFrom(0, 262_145, 1_048_577, 0xffff_ffff)),
    size: fc.nat(64)
  }),
  fc.record({ op: fc.constant('raw'), hex: hex(30) }),
  fc.record({ op: fc.constant('record'), hex: hex(60) }),
  fc.record({
    op: fc.constant('answer'),
    hex: fc.constantFrom('0100', '0101', '0102', '0103', '00', '8100', '02')
  }),
  fc.record({ op: fc.constant('goAway'), code: fc.nat(3) })
]
const scriptOf = (choices: Array<fc.Arbitrary<Step>>): fc.Arbitrary<Step[]> =>
  fc.array(fc.oneof(...choices), { minLength: 1, maxLength: 25 })
const conduct = fc.constantFrom('serve', 'serve', 'agree', 'ignore')

let node: LocalNode
let program: Program
let peers = 0

beforeAll(async () => {
  node = await launchLocal({
    // A bucket is full again, and gone from the snapshot, before there are more than a snapshot shows.
    rateLimit: { capacity: 1_000, refillPerSecond: 0.02 },
    limits: { maxMessageBytes: MAX_MESSAGE_BYTES, ackTimeoutMs: 2_000, messageTimeoutMs: 5_000 }
  })
  program = startProgram('attacker.mjs')
})

afterAll(async () => {
  program?.kill()
  if (node !== undefined) await stopLocal(node)
})

/** After all that: the node runs, nothing in it has failed, nobody is left over, and whoever comes is served. */
afterEach(async () => {
  expect(node.p2p.runtime.state).toBe('running')
  const failures = node.events.filter(event => event.type === 'Error' && event.code !== 'ERR_NOT_ALLOWED')
  expect(failures).toEqual([])
  expect(await (await peer()).enter()).toMatchObject({ admitted: true })
  await expect
    .poll(async () => (await node.p2p.runtime.inspectAsync()).peers, { timeout: EFFECT_MS })
    .toEqual([])
})

/** A peer that never was here before, at an address of its own. */
async function peer(): Promise<Attacker> {
  const number = ++peers
  const from = `127.8.${number >> 8}.${number & 0xff}`
  return createAttacker(program, { target: node.addresses[0]!, from, key: await generatePrivateKey() })
}

async function debitsOf({ peerId, from }: Attacker): Promise<string[]> {
  const { buckets } = await node.p2p.runtime.inspectAsync()
  return buckets
    .filter(bucket => bucket.peerId === peerId || bucket.ip === from)
    .flatMap(({ debits }) => debits.map(({ cause }) => cause))
}

/** A session of one peer, while the node sends it messages. */
interface Session {
  who: Attacker
  endedByNode: boolean
  /** Streams that carried messages and nothing else. */
  clean: number[]
  /** All that the node told about it. */
  events: P2pEvent[]
}

async function session(script: Step[], how: string, awaitAnswers: boolean): Promise<Session> {
  const who = await peer()
  const { peerId } = who
  await who.call('begin', { conduct: how })
  await node.event({ type: 'Connected', peerId }, EFFECT_MS)
  const ids = Array.from({ length: 3 }, () => node.sendMsg(who, Buffer.from('what do you say?')))
  const settled = Promise.all(ids.map(async id => node.event({ type: 'Status', peerId, id }, EFFECT_MS)))
  const { open, clean } = await who.call<{ open: boolean; clean: number[] }>('play', { script })
  if (awaitAnswers) await settled
  await who.call('finish')
  await settled
  await node.event({ type: 'Disconnected', peerId }, EFFECT_MS)
  await node.settled()
  const events = node.events.filter(event => 'peerId' in event && event.peerId === peerId)
  for (const type of ['Connected', 'Disconnected']) {
    expect(events.filter(event => event.type === type)).toHaveLength(1)
  }
  expect(events.filter(({ type }) => type === 'Status')).toHaveLength(ids.length)
  return { who, endedByNode: !open, clean, events }
}

/** The numbers of the messages that were delivered, by stream, of those that carry one. */
function delivered(events: P2pEvent[]): Map<number, number[]> {
  const byStream = new Map<number, number[]>()
  for (const event of events) {
    if (event.type !== 'Data' || event.data.length < 8) continue
    const view = new DataView(event.data.buffer, event.data.byteOffset)
    const stream = view.getUint32(0)
    byStream.set(stream, [...(byStream.get(stream) ?? []), view.getUint32(4)])
  }
  return byStream
}

test(
  'an honest session, whatever is in it and in whatever order, costs nothing and loses nothing',
  async () => {
    await fc.assert(
      fc.asyncProperty(scriptOf(valid), async script => {
        const { who, endedByNode, events } = await session(script, 'serve', true)
        expect(endedByNode).toBe(false)
        expect(await debitsOf(who)).toEqual([])
        for (const numbers of delivered(events).values()) expect(numbers).toEqual([...numbers.keys()])
        expect(events.filter(event => event.type === 'Status' && !event.ok)).toEqual([])
      }),
      { seed: SEED, numRuns: Math.ceil(SESSIONS / 4), endOnFailure: true }
    )
  },
  TEST_MS
)

test(
  'any session at all ends with the connection accounted for',
  async () => {
    await fc.assert(
      fc.asyncProperty(scriptOf(anything), conduct, async (script, how) => {
        const { who, endedByNode, clean, events } = await session(script, how, false)
        const saidGoodbye = script.some(({ op, type }) => op === 'goAway' || (op === 'frame' && type === 3))
        const debits = await debitsOf(who)
        expect({ script, endedByNode, attributed: !endedByNode || saidGoodbye || debits.length > 0 }).toEqual(
          {
            script,
            endedByNode,
            attributed: true
          }
        )
        // In order, without a gap and never twice, as far as they came.
        const numbers = delivered(events)
        for (const stream of clean)
          expect(numbers.get(stream) ?? []).toEqual([...(numbers.get(stream) ?? []).keys()])
      }),
      { seed: SEED, numRuns: SESSIONS, endOnFailure: true }
    )
  },
  TEST_MS
)

test(
  'a handshake with one byte changed, missing or too many costs its address one token, or is none the worse',
  async () => {
    const damage = fc.record({
      piece: fc.nat(2),
      at: fc.nat(400),
      how: fc.constantFrom('changed', 'missing', 'added'),
      value: fc.integer({ min: 1, max: 255 })
    })
    const judge = async (given: object): Promise<void> => {
      const who = await peer()
      await who.call('damaged', given)
      const outcome = async (): Promise<string[]> => {
        const connected = node.count({ type: 'Connected', peerId: who.peerId })
        return [...(await debitsOf(who)), ...Array.from({ length: connected }, () => 'Connected')]
      }
      await expect.poll(async () => (await outcome()).length, { timeout: EFFECT_MS }).toBe(1)
      expect(['failed-handshake', 'Connected']).toContain((await outcome())[0])
    }
    // Some at once: the charge for one that its dialler gives up is held back for two seconds.
    await fc.assert(
      fc.asyncProperty(
        fc.array(damage, { minLength: AT_ONCE, maxLength: AT_ONCE }),
        async damages => void (await Promise.all(damages.map(judge)))
      ),
      { seed: SEED, numRuns: HANDSHAKES / AT_ONCE, endOnFailure: true }
    )
  },
  TEST_MS
)
