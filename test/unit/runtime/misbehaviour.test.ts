import { describe, expect, it } from 'vitest'
import type { MisbehaviourCause } from '../../../src/bridge/types.ts'
import { BucketTable } from '../../../src/rate-limiter/index.ts'
import { MisbehaviourPolicy } from '../../../src/runtime/misbehaviour.ts'

const CAPACITY = 3
const MAX_BUCKETS = 10

/** A policy over small tables, and what it has done. */
class Scene {
  now = 0
  readonly cutOff: string[] = []
  readonly limits: Array<string | undefined> = []
  readonly policy: MisbehaviourPolicy

  constructor() {
    const table = (): BucketTable =>
      new BucketTable({
        capacity: CAPACITY,
        refillPerSecond: 1,
        clock: () => this.now,
        maxBuckets: MAX_BUCKETS
      })
    this.policy = new MisbehaviourPolicy({
      peerBuckets: table(),
      addressBuckets: table(),
      costs: { 'failed-handshake': 1 } as Record<MisbehaviourCause, number>,
      cutOff: ({ ip, peerId }) => this.cutOff.push(ip ?? peerId),
      emit: ({ ip, peerId }) => this.limits.push(ip ?? peerId)
    })
  }

  offend(ip: string, times = 1): void {
    for (let i = 0; i < times; i++) {
      this.policy.report({ cause: 'failed-handshake', offender: { ip }, evidence: '' })
    }
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
})
