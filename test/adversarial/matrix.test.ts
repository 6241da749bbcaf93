/**
 * Who pays for what, seen from outside: attackers in processes of their own, each with an address (127.x.y.z) and a key
 * of its own. Every row of the table is played twice, so that nothing depends on how fast this machine is: against a
 * node whose buckets never refill (the law, the bar), and against one where a single offence empties a bucket that
 * refills at once (coming in again).
 */
import { generatePrivateKey, peerIdFromPrivateKey, publicKeyHash } from 'bitvmx-p2p'
import type { AllowListEntry, MisbehaviourCause, P2pEvent, P2pOptions, RuntimeSnapshot } from 'bitvmx-p2p'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { launchLocal, stopLocal } from '../support/local-node.ts'
import type { LocalNode } from '../support/local-node.ts'
import { ROWS } from './matrix-rows.ts'
import type { Row } from './matrix-rows.ts'
import { createAttacker } from './attacker.ts'
import type { Attacker } from './attacker.ts'
import { startProgram } from './program.ts'
import type { Program } from './program.ts'

/** The attackers' processes, which the rows share. */
const PROCESSES = 2
const CAPACITY = 2
/** Between two looks at a node, and between two attempts to come in, in milliseconds. */
const LOOK_MS = 25
const ATTEMPT_MS = 100
/** What an offence or the end of a bar leads to is seen in this time, in milliseconds. */
const EFFECT_MS = 60_000
const ROW_MS = 180_000

type Bucket = RuntimeSnapshot['buckets'][number]

/** Buckets that never refill. */
const LAW = { capacity: CAPACITY, refillPerSecond: 0 }
const CAUSES: MisbehaviourCause[] = [
  'failed-handshake',
  'ip-mismatch',
  'unknown-peer',
  'malformed-message',
  'unanswered-ack',
  'protocol-abuse'
]
/** One offence empties a bucket; a token is back in half a second. */
const RELIEF = {
  capacity: CAPACITY,
  refillPerSecond: 2,
  costs: Object.fromEntries(CAUSES.map(cause => [cause, CAPACITY + 1]))
}
const BOTH = { maxMessageBytes: 4_096, receiverMessages: 2 ** 20 }
/** Deadlines for rows that are about one; the others have those of `launchLocal`, which are long. */
const HASTE = { handshakeTimeoutMs: 4_000, ackTimeoutMs: 1_000, messageTimeoutMs: 1_000 }

/** One attacker at one node, and whom it makes pay. */
interface Case {
  row: Row
  node: Watched
  attacker: Attacker
  subject: string
}

/** A node and its buckets as they are after the call; who asks at the same time shares one answer. */
interface Watched extends LocalNode {
  buckets: () => Promise<Bucket[]>
}

interface Places {
  law: Watched
  relief: Watched
}

const nodes: Watched[] = []
let honest: Program
let honestId: string
const programs: Program[] = []
let keys: Uint8Array[]
/** Where a row is played: for the law, and for relief. */
let patient: Places
let hasty: Places

beforeAll(async () => {
  keys = await Promise.all(ROWS.map(async () => generatePrivateKey()))
  const honestKey = await generatePrivateKey()
  honestId = peerIdFromPrivateKey(honestKey)
  const listed = ROWS.flatMap((row, index): AllowListEntry[] => {
    const peerId = peerIdFromPrivateKey(keys[index]!)
    if (row.listed === 'no') return []
    return [row.listed?.(peerId, publicKeyHash(keys[index]!)) ?? { peerId }]
  })
  const allowList = [...listed, { peerId: honestId }, { peerId: publicKeyHash(await generatePrivateKey()) }]
  const launch = async (rateLimit: P2pOptions['rateLimit'] & object, limits: object): Promise<Watched> => {
    const node = watched(await launchLocal({ allowList, rateLimit, limits: { ...BOTH, ...limits } }))
    nodes.push(node)
    return node
  }
  patient = { law: await launch(LAW, {}), relief: await launch(RELIEF, {}) }
  hasty = { law: await launch(LAW, HASTE), relief: await launch(RELIEF, HASTE) }

  honest = startProgram('honest.mjs')
  const { peerId: target, addresses } = patient.law
  await honest.call('start', { target, address: addresses[0], key: honestKey, pause: 5 })
  for (let i = 0; i < PROCESSES; i++) programs.push(startProgram('attacker.mjs'))
})

afterAll(async () => {
  for (const program of [honest, ...programs]) program?.kill()
  await Promise.all(nodes.map(stopLocal))
})

describe('who offends pays, is cut off when the bucket is empty, and comes in again when a token is back', () => {
  // Slow ones first: the others are played beside them.
  const order = [...ROWS.keys()].toSorted((a, b) => Number(ROWS[b]!.slow ?? 0) - Number(ROWS[a]!.slow ?? 0))
  for (const index of order) {
    const row = ROWS[index]!
    test.concurrent(`${row.subject} pays: ${titleOf(row)}`, { timeout: ROW_MS }, async () => {
      const { law, relief } = row.slow === true ? hasty : patient
      await playForLaw(await caseOf(index, law))
      await playForRelief(await caseOf(index, relief))
    })
  }
})

describe('meanwhile', () => {
  test('an honest peer exchanges messages as if nothing happened, and pays nothing', async () => {
    const [node] = nodes
    const before = await report()
    await expect
      .poll(async () => (await report()).acknowledged, { timeout: EFFECT_MS })
      .toBeGreaterThan(before.acknowledged + 10)
    expect(await report()).toMatchObject({ refused: 0, others: [] })
    const buckets = await node!.buckets()
    expect(buckets.filter(({ ip, peerId }) => ip === '127.0.0.1' || peerId === honestId)).toEqual([])
    expect(node!.count({ type: 'Connected', peerId: honestId })).toBe(1)
    expect(node!.count({ type: 'Disconnected', peerId: honestId })).toBe(0)
  })

  test('nothing inside the nodes failed', () => {
    const errors = nodes.flatMap(({ events }) => events.filter(({ type }) => type === 'Error'))
    expect(errors.filter(event => event.type === 'Error' && event.code !== 'ERR_NOT_ALLOWED')).toEqual([])
  })
})

/** Two offences are paid for; the third is one too many. */
async function playForLaw(it: Case): Promise<void> {
  const { row, attacker } = it
  if (row.slow === true) await Promise.all(Array.from({ length: CAPACITY + 1 }, async () => offend(it)))
  else {
    for (let paid = 1; paid <= CAPACITY; paid++) {
      await offend(it)
      const { tokens, debits, barred } = await bucketOf(it, paid)
      expect({ tokens, debits: debits.length, barred }).toEqual({
        tokens: CAPACITY - paid,
        debits: paid,
        barred: false
      })
    }
    expect(limitsOf(it)).toEqual([])
    if (row.subject === 'ip') await attacker.call('linger')
    await offend(it)
  }
  const bucket = await bucketOf(it, CAPACITY + 1)
  expect(bucket).toMatchObject({ tokens: 0, barred: true })
  expect(bucket.debits.map(({ cost }) => cost)).toEqual([1, 1, 0])
  for (const { cause, evidence } of bucket.debits) {
    expect(cause).toBe(row.cause)
    expect(evidence).toMatch(row.evidence)
  }
  await assertCutOff(it)

  // A further attempt is refused, to an address without a word, and charges nobody.
  const attempt = await attacker.enter()
  expect(attempt.admitted).toBe(false)
  if (row.subject === 'ip') expect(attempt.bytes).toBe(0)
  const buckets = await it.node.buckets()
  expect(buckets.filter(({ ip, peerId }) => ip === attacker.from || peerId === attacker.peerId)).toEqual([
    bucket
  ])
  expect(limitsOf(it)).toHaveLength(1)
}

/** One offence, dearer than a full bucket, bars; when a token is back, who may come in comes in. */
async function playForRelief(it: Case): Promise<void> {
  const { row, node, attacker } = it
  await offend(it)
  await assertCutOff(it)
  if (row.listed !== undefined) node.p2p.allowList.add({ peerId: attacker.peerId })
  const comesIn = async (): Promise<void> => expect(await attacker.enter()).toMatchObject({ admitted: true })
  await vi.waitFor(comesIn, { timeout: EFFECT_MS, interval: ATTEMPT_MS })
  expect(limitsOf(it)).toHaveLength(1)
}

/** One event, with this subject and cause, and what the subject had open is gone. */
async function assertCutOff(it: Case): Promise<void> {
  const { row, attacker } = it
  const { from, peerId } = attacker
  await vi.waitFor(() => expect(limitsOf(it)).toHaveLength(1), { timeout: EFFECT_MS })
  const whom = row.subject === 'ip' ? { ip: from } : { peerId }
  expect(limitsOf(it)).toEqual([{ type: 'ConnectionLimit', ...whom, cause: row.cause }])
  await attacker.call('ended')
}

async function offend({ row, node, attacker }: Case): Promise<void> {
  await attacker.attack(row.attack)
  if (row.provoked === undefined) return
  const { peerId } = attacker
  const id = node.p2p.sender.sendMsg(peerId, Buffer.from('what do you say?'))
  const { ok, reason } = await node.event({ type: 'Status', peerId, id })
  expect(ok ? 'accepted' : reason).toBe(row.provoked)
}

async function caseOf(index: number, node: Watched): Promise<Case> {
  const row = ROWS[index]!
  const target = node.addresses[0]!
  const attacker = await createAttacker(programs[index % PROCESSES]!, {
    target,
    from: `127.1.${index}.1`,
    key: keys[index]!
  })
  return { row, node, attacker, subject: row.subject === 'ip' ? attacker.from : attacker.peerId }
}

async function report(): Promise<{ acknowledged: number }> {
  return honest.call('report')
}

function titleOf({ attack, note }: Row): string {
  return note === undefined ? attack : `${attack} ${note}`
}

function limitsOf({ node, subject }: Case): P2pEvent[] {
  return node.events.filter(
    event => event.type === 'ConnectionLimit' && (event.ip ?? event.peerId) === subject
  )
}

/** The subject's bucket, once it has so many debits. */
async function bucketOf({ node, subject }: Case, debits: number): Promise<Bucket> {
  const end = performance.now() + EFFECT_MS
  for (;;) {
    const bucket = (await node.buckets()).find(({ ip, peerId }) => (ip ?? peerId) === subject)
    if (bucket !== undefined && bucket.debits.length >= debits) return bucket
    if (performance.now() > end) throw new Error(`the bucket of ${subject} is ${JSON.stringify(bucket)}`)
  }
}

function watched(node: LocalNode): Watched {
  let upcoming: Promise<Bucket[]> | undefined
  const buckets = async (): Promise<Bucket[]> => {
    await new Promise(resolve => setTimeout(resolve, LOOK_MS))
    upcoming = undefined
    return (await node.p2p.runtime.inspectAsync()).buckets
  }
  return { ...node, buckets: async () => (upcoming ??= buckets()) }
}
