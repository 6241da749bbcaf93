/**
 * Who pays for what, seen from outside: attackers in processes of their own, each with an address (127.x.y.z) and a key
 * of its own, against one node. Every row commits its offence until the bucket is empty. A bucket refills all the time,
 * so on a slow machine that may take one offence more: the law is replayed from the times of the debits.
 */
import { generatePrivateKey, peerIdFromPrivateKey, publicKeyHash } from 'bitvmx-p2p'
import type { AllowListEntry, P2pEvent, RuntimeSnapshot } from 'bitvmx-p2p'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { launchLocal, stopLocal } from '../support/local-node.ts'
import type { LocalNode } from '../support/local-node.ts'
import { ROWS } from './matrix-rows.ts'
import type { Row } from './matrix-rows.ts'
import { startProgram } from './program.ts'
import type { Program } from './program.ts'

const CAPACITY = 2
const REFILL_PER_SECOND = 0.2
/** Attackers that offend at the same time, and the processes they share. */
const AT_ONCE = 24
const PROCESSES = 2
/** Between two looks at the node, in milliseconds. */
const LOOK_MS = 25
/** Between two attempts to come in, in milliseconds. */
const ATTEMPT_MS = 200
/** An offence shows in the bucket, and a bar ends, within this time, in milliseconds. */
const EFFECT_MS = 40_000
/** Times of debits are whole milliseconds, taken a moment after the bucket was charged. */
const CLOCK_TOLERANCE_MS = 50

type Bucket = RuntimeSnapshot['buckets'][number]

/** One attacker and whom he makes pay. */
interface Case {
  row: Row
  actor: string
  program: Program
  from: string
  peerId: string
  subject: string
}

let node: LocalNode
let honest: Program
let honestId: string
const attackers: Program[] = []
const outcomes = ROWS.map(() => deferred())

function deferred(): { promise: Promise<void>; settle: (err?: unknown) => void } {
  let settle!: (err?: unknown) => void
  const promise = new Promise<void>((resolve, reject) => {
    settle = err => (err === undefined ? resolve() : reject(err as Error))
  })
  promise.catch(() => {})
  return { promise, settle }
}

beforeAll(async () => {
  const keys = await Promise.all(ROWS.map(async () => generatePrivateKey()))
  const honestKey = await generatePrivateKey()
  honestId = peerIdFromPrivateKey(honestKey)
  const attackersListed = ROWS.flatMap(({ listed }, index): AllowListEntry[] => {
    const peerId = peerIdFromPrivateKey(keys[index]!)
    if (listed === 'no') return []
    return [listed?.(peerId, publicKeyHash(keys[index]!)) ?? { peerId }]
  })
  const somebodyElse = { peerId: publicKeyHash(await generatePrivateKey()) }
  node = await launchLocal({
    allowList: [...attackersListed, somebodyElse, { peerId: honestId }],
    rateLimit: { capacity: CAPACITY, refillPerSecond: REFILL_PER_SECOND },
    limits: {
      handshakeTimeoutMs: 2_000,
      ackTimeoutMs: 1_500,
      messageTimeoutMs: 1_500,
      maxMessageBytes: 4_096,
      receiverMessages: 2 ** 20
    }
  })
  honest = startProgram('honest.mjs')
  await honest.call('start', { target: node.peerId, address: node.addresses[0], key: honestKey })
  for (let i = 0; i < PROCESSES; i++) attackers.push(startProgram('attacker.mjs'))

  // All rows run from here on, so many at once; each test below waits for the outcome of its own.
  const waiting = [...ROWS.keys()].toSorted((a, b) => Number(ROWS[b]!.slow ?? 0) - Number(ROWS[a]!.slow ?? 0))
  const work = async (): Promise<void> => {
    for (let index = waiting.shift(); index !== undefined; index = waiting.shift()) {
      await runRow(index, keys[index]!).then(() => outcomes[index]!.settle(), outcomes[index]!.settle)
    }
  }
  for (let i = 0; i < AT_ONCE; i++) void work()
})

afterAll(async () => {
  for (const program of [honest, ...attackers]) program?.kill()
  if (node !== undefined) await stopLocal(node)
})

describe('who offends pays, is cut off when the bucket is empty, and comes in again when a token is back', () => {
  test.each(ROWS.map((row, index) => ({ index, title: `${row.subject} pays: ${titleOf(row)}` })))(
    '$title',
    { timeout: 120_000 },
    async ({ index }) => outcomes[index]!.promise
  )
})

describe('meanwhile', () => {
  test('an honest peer exchanges messages as if nothing happened, and pays nothing', async () => {
    const before = await honest.call<{ acknowledged: number }>('report')
    await expect
      .poll(async () => (await honest.call<{ acknowledged: number }>('report')).acknowledged)
      .toBeGreaterThan(before.acknowledged + 10)
    expect(await honest.call('report')).toMatchObject({ refused: 0, others: [] })
    const { buckets } = await node.p2p.runtime.inspectAsync()
    expect(buckets.filter(({ ip, peerId }) => ip === '127.0.0.1' || peerId === honestId)).toEqual([])
    expect(node.count({ type: 'Connected', peerId: honestId })).toBe(1)
    expect(node.count({ type: 'Disconnected', peerId: honestId })).toBe(0)
  })

  test('nothing inside the node failed', () => {
    const failures = node.events.filter(event => event.type === 'Error' && event.code !== 'ERR_NOT_ALLOWED')
    expect(failures).toEqual([])
  })
})

function titleOf({ attack, note }: Row): string {
  return note === undefined ? attack : `${attack} ${note}`
}

async function runRow(index: number, key: Uint8Array): Promise<void> {
  const row = ROWS[index]!
  const from = `127.1.${index}.1`
  const peerId = peerIdFromPrivateKey(key)
  const program = attackers[index % PROCESSES]!
  const actor = String(index)
  const port = Number(node.addresses[0]!.split('/')[4])
  await program.call('create', { actor, port, from, key, other: await generatePrivateKey(), seed: index + 1 })
  const it: Case = { row, actor, program, from, peerId, subject: row.subject === 'ip' ? from : peerId }

  const bucket = row.slow === true ? await offendAtOnce(it) : await offendOneByOne(it)
  assertLaw(bucket, row)
  await assertCutOff(it)
  await assertBarred(it, bucket)
  await assertReadmission(it, bucket)
}

/** Offends until the limit is reported; every offence is one debit. */
async function offendOneByOne(it: Case): Promise<Bucket> {
  for (let offences = 1; ; offences++) {
    if (it.row.subject === 'ip' && offences > CAPACITY) await it.program.call('linger', { actor: it.actor })
    await offend(it)
    const bucket = await bucketWhere(it, ({ debits }) => debits.length >= offences)
    expect(bucket.debits).toHaveLength(offences)
    if (bucket.debits.at(-1)!.cost === 0) return bucket
    expect(limitsOf(it)).toEqual([])
    expect(offences, 'offences without a limit').toBeLessThan(CAPACITY + 4)
  }
}

/** Offences that take until a deadline are committed together. */
async function offendAtOnce(it: Case): Promise<Bucket> {
  await Promise.all(Array.from({ length: CAPACITY + 1 }, async () => offend(it)))
  return bucketWhere(it, ({ debits }) => debits.at(-1)?.cost === 0)
}

async function offend({ row, actor, program, peerId }: Case): Promise<void> {
  await program.call('attack', { actor, name: row.attack })
  if (row.provoked === undefined) return
  const id = node.p2p.sender.sendMsg(peerId, Buffer.from('what do you say?'))
  const { ok, reason } = await node.event({ type: 'Status', peerId, id })
  expect(ok ? 'accepted' : reason).toBe(row.provoked)
}

/** Cause, evidence and cost of every debit; exactly the offence that found too few tokens raised the limit. */
function assertLaw({ debits }: Bucket, { cause, evidence }: Row): void {
  let tokens = CAPACITY
  let at = debits[0]!.time
  for (const [index, debit] of debits.entries()) {
    expect(debit.cause).toBe(cause)
    expect(debit.evidence).toMatch(evidence)
    const refilled = ((debit.time - at) * REFILL_PER_SECOND) / 1_000
    tokens = Math.min(CAPACITY, tokens + refilled)
    at = debit.time
    const last = index === debits.length - 1
    expect(debit.cost).toBe(last ? 0 : 1)
    const tolerance = (CLOCK_TOLERANCE_MS * REFILL_PER_SECOND) / 1_000
    if (last) expect(tokens).toBeLessThan(1 + tolerance)
    else expect(tokens).toBeGreaterThan(1 - tolerance)
    tokens -= debit.cost
  }
}

/** One event, with this subject and cause, and what the subject had open is gone. */
async function assertCutOff(it: Case): Promise<void> {
  const { row, actor, program, from, peerId } = it
  await expect.poll(() => limitsOf(it).length, { timeout: EFFECT_MS }).toBe(1)
  const whom = row.subject === 'ip' ? { ip: from } : { peerId }
  expect(limitsOf(it)).toEqual([{ type: 'ConnectionLimit', ...whom, cause: row.cause }])
  if (row.subject === 'peer') await program.call('sessionEnded', { actor })
  else if (row.slow !== true) await program.call('lingeringEnded', { actor })
}

/** Barred: a further attempt is refused, an address not even listened to, and nothing is charged for it. */
async function assertBarred(it: Case, bucket: Bucket): Promise<void> {
  const { row, actor, program } = it
  expect(bucket.barred).toBe(true)
  const attempt = await program.call<{ admitted: boolean; bytes: number }>('enter', { actor })
  expect(attempt.admitted).toBe(false)
  if (row.subject === 'ip') expect(attempt.bytes).toBe(0)
  const after = await bucketWhere(it, () => true)
  expect(after.debits).toEqual(bucket.debits)
}

async function assertReadmission(it: Case, { debits }: Bucket): Promise<void> {
  const { row, actor, program, peerId, from } = it
  if (row.listed !== undefined) node.p2p.allowList.add({ peerId })
  await expect
    .poll(async () => program.call('enter', { actor }), { timeout: EFFECT_MS, interval: ATTEMPT_MS })
    .toMatchObject({ admitted: true })
  const buckets = await look()
  expect(buckets.find(({ ip, peerId: id }) => (ip ?? id) === it.subject)).toMatchObject({
    barred: false,
    debits
  })
  expect(buckets.filter(({ ip, peerId: id }) => ip === from || id === peerId)).toHaveLength(1)
  expect(limitsOf(it)).toHaveLength(1)
}

function limitsOf({ subject }: Case): P2pEvent[] {
  return node.events.filter(
    event => event.type === 'ConnectionLimit' && (event.ip ?? event.peerId) === subject
  )
}

async function bucketWhere({ subject }: Case, condition: (bucket: Bucket) => boolean): Promise<Bucket> {
  const end = performance.now() + EFFECT_MS
  for (;;) {
    const buckets = await look()
    const bucket = buckets.find(({ ip, peerId }) => (ip ?? peerId) === subject)
    if (bucket !== undefined && condition(bucket)) return bucket
    if (performance.now() > end) throw new Error(`the bucket of ${subject} is ${JSON.stringify(bucket)}`)
  }
}

let upcoming: Promise<Bucket[]> | undefined

/** The buckets as they are after this call; who asks at the same time shares one answer. */
async function look(): Promise<Bucket[]> {
  upcoming ??= new Promise<void>(resolve => setTimeout(resolve, LOOK_MS)).then(async () => {
    upcoming = undefined
    return (await node.p2p.runtime.inspectAsync()).buckets
  })
  return upcoming
}
