import { describe, expect, it } from 'vitest'
import type { MisbehaviourCause, Offender } from '../../../src/bridge/types.ts'
import { BucketTable } from '../../../src/rate-limiter/index.ts'
import { MisbehaviourPolicy } from '../../../src/runtime/misbehaviour.ts'
import { BOB } from '../allow-list/names.ts'

const CAPACITY = 3
const MAX_BUCKETS = 10

/** A policy over small tables, and what it has done. */
class Scene {
  now = 0
  /** Everything, in order. */
  readonly log: string[] = []
  readonly cutOff: string[] = []
  readonly limits: Array<string | undefined> = []
  readonly policy: MisbehaviourPolicy

  constructor(maxBuckets = MAX_BUCKETS) {
    const table = (): BucketTable =>
      new BucketTable({ capacity: CAPACITY, refillPerSecond: 1, clock: () => this.now, maxBuckets })
    this.policy = new MisbehaviourPolicy({
      peerBuckets: table(),
      addressBuckets: table(),
      costs: { 'failed-handshake': 1, 'protocol-abuse': 2 } as Record<MisbehaviourCause, number>,
      cutOff: ({ ip, peerId }, reason) => {
        const key = ip ?? peerId
        this.cutOff.push(key)
        this.log.push(`cut off ${key}: ${reason}, barred: ${this.policy.isBarred(key)}`)
      },
      emit: event => {
        this.limits.push(event.ip ?? event.peerId)
        this.log.push(JSON.stringify(event))
      }
    })
  }

  offend(ip: string, times = 1): void {
    for (let i = 0; i < times; i++) this.report({ ip }, 'failed-handshake', '')
  }

  report(offender: Offender, cause: MisbehaviourCause, evidence: string): void {
    this.policy.report({ cause, offender, evidence })
  }
}

function address(number: number): string {
  return `10.0.${number >> 8}.${number & 0xff}`
}

describe('the misbehaviour policy', () => {
  it('bars an offender that cannot pay, cuts it off and says so once, until a token is back', () => {
    const scene = new Scene()
    scene.offend('10.0.0.1', CAPACITY)
    expect(scene.policy.isBarred('10.0.0.1')).toBe(false)
    scene.offend('10.0.0.1', 5)
    expect(scene).toMatchObject({ cutOff: ['10.0.0.1'], limits: ['10.0.0.1'] })
    scene.now = 999
    expect(scene.policy.isBarred('10.0.0.1')).toBe(true)
    scene.now = 1_000
    expect(scene.policy.isBarred('10.0.0.1')).toBe(false)
  })

  it('remembers nobody beyond the buckets there are: while all are empty, others are cut off each time', () => {
    const scene = new Scene()
    for (let i = 0; i < MAX_BUCKETS; i++) scene.offend(address(i), CAPACITY + 1)
    const barred = Array.from({ length: MAX_BUCKETS }, (_, i) => address(i))
    expect(scene).toMatchObject({ cutOff: barred, limits: barred })
    for (let i = 0; i < 1_000; i++) scene.offend(address(1_000 + i))
    scene.offend(address(1_000))
    expect(scene.cutOff).toHaveLength(MAX_BUCKETS + 1_001)
    expect(scene.limits).toEqual(barred)
    for (const ip of barred) expect(scene.policy.isBarred(ip)).toBe(true)
    for (let i = 0; i < 1_000; i++) expect(scene.policy.isBarred(address(1_000 + i))).toBe(false)
  })

  it('bars first, cuts off then, and says so last', () => {
    const scene = new Scene()
    for (let i = 0; i < 3; i++) scene.report({ peerId: BOB }, 'protocol-abuse', 'a flood')
    expect(scene.log).toEqual([
      `cut off ${BOB}: token bucket empty: protocol-abuse, barred: true`,
      JSON.stringify({ type: 'ConnectionLimit', peerId: BOB, cause: 'protocol-abuse' })
    ])
  })

  it('charges each cause its cost, and keeps the last eight charges with what was seen', () => {
    const scene = new Scene()
    const before = Date.now()
    scene.report({ peerId: BOB }, 'protocol-abuse', 'a flood')
    scene.report({ peerId: BOB }, 'failed-handshake', 'silence')
    expect(scene.policy.inspect()).toMatchObject([
      {
        peerId: BOB,
        tokens: 0,
        barred: false,
        debits: [
          { cause: 'protocol-abuse', evidence: 'a flood', cost: 2 },
          { cause: 'failed-handshake', evidence: 'silence', cost: 1 }
        ]
      }
    ])
    const [first] = scene.policy.inspect()[0]!.debits
    expect(first!.time).toBeGreaterThanOrEqual(before)
    expect(first!.time).toBeLessThanOrEqual(Date.now())
    for (let i = 0; i < 8; i++) {
      scene.now += 1_000
      scene.report({ peerId: BOB }, 'failed-handshake', `${i}`)
    }
    const evidence = scene.policy.inspect()[0]!.debits.map(debit => debit.evidence)
    expect(evidence).toEqual(['0', '1', '2', '3', '4', '5', '6', '7'])
    scene.report({ peerId: BOB }, 'protocol-abuse', 'too much')
    expect(scene.policy.inspect()[0]).toMatchObject({ barred: true })
    expect(scene.policy.inspect()[0]!.debits.at(-1)).toMatchObject({ evidence: 'too much', cost: 0 })
  })

  it('charges nothing while it bars, so that the bar ends', () => {
    const scene = new Scene()
    scene.offend('10.0.0.1', CAPACITY + 1)
    scene.now = 999
    scene.offend('10.0.0.1')
    expect(scene.policy.inspect()[0]!.debits).toHaveLength(CAPACITY + 1)
    scene.now = 1_000
    expect(scene.policy.isBarred('10.0.0.1')).toBe(false)
    scene.offend('10.0.0.1', 2)
    expect(scene.limits).toEqual(['10.0.0.1', '10.0.0.1'])
  })

  it.each([['10.0.0.1'], ['2001:db8::/64']])('keeps %s apart from peers', ip => {
    const scene = new Scene()
    for (let i = 0; i <= MAX_BUCKETS; i++) scene.offend(address(100 + i), CAPACITY + 1)
    scene.report({ peerId: BOB }, 'failed-handshake', '')
    expect(scene.policy.inspect().find(({ peerId }) => peerId === BOB)).toMatchObject({
      tokens: CAPACITY - 1
    })
    scene.report({ ip }, 'failed-handshake', '')
    expect(scene.policy.isBarred(ip)).toBe(false)
    expect(scene.cutOff.at(-1)).toBe(ip)
    scene.now = 10_000
    scene.report({ ip }, 'failed-handshake', '')
    expect(scene.policy.inspect()).toMatchObject([{ ip }])
  })

  it('forgets bars that have been served, so that they do not come back when all buckets are empty', () => {
    const scene = new Scene()
    for (const ip of ['10.9.0.1', '10.9.0.2']) scene.offend(ip, CAPACITY + 1)
    scene.now = 10_000
    for (let i = 0; i < MAX_BUCKETS; i++) scene.offend(address(i), CAPACITY + 1)
    for (const ip of ['10.9.0.1', '10.9.0.2']) expect(scene.policy.isBarred(ip)).toBe(false)
    expect(scene.policy.isBarred(address(0))).toBe(true)
  })

  it('shows buckets that are not full, emptiest first', () => {
    const scene = new Scene()
    scene.offend('10.0.0.1', 1)
    scene.offend('10.0.0.2', 3)
    scene.report({ peerId: BOB }, 'protocol-abuse', '')
    expect(scene.policy.inspect().map(({ tokens }) => tokens)).toEqual([0, 1, 2])
    scene.now = 1_000
    expect(scene.policy.inspect().map(({ ip, peerId }) => ip ?? peerId)).toEqual(['10.0.0.2', BOB])
  })

  it('shows 1,024 buckets at most, and keeps the charges of the 1,024 that were charged last', () => {
    const scene = new Scene(2_000)
    for (let i = 0; i < 1_023; i++) scene.offend(address(i))
    expect(scene.policy.inspect()).toHaveLength(1_023)
    for (let i = 1_023; i < 1_025; i++) scene.offend(address(i))
    expect(scene.policy.inspect()).toHaveLength(1_024)
    const debitsOf = (number: number): number | undefined => {
      // Emptiest first: so it is shown.
      scene.offend(address(number), 2)
      return scene.policy.inspect().find(({ ip }) => ip === address(number))?.debits.length
    }
    expect(debitsOf(0)).toBe(2)
    // That took the place of the next one; this one has been charged since, and is kept.
    expect(debitsOf(2)).toBe(3)
    expect(debitsOf(1)).toBe(2)
    // The fourth charge found the bucket empty; the fifth was none.
    expect(debitsOf(2)).toBe(4)
  })
})
