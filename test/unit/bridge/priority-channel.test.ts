import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { PriorityEvent } from '../../../src/bridge/types.ts'
import { droppedPair, seed } from './support.ts'

/** Peers whose drops can be unread at once. */
const SLOTS = 4_096

describe('dropped counters', () => {
  it('tell one event for a peer, which counts up until it is read', () => {
    const { writer, source, signals } = droppedPair()
    expect(source.length).toBe(0)
    for (let i = 0; i < 1_000; i++) writer.add('peer-a', { messages: 2, bytes: 10 })
    expect(source.length).toBe(1)
    expect(signals()).toBe(1)
    expect(source.take()).toEqual({ type: 'Dropped', peerId: 'peer-a', messages: 2_000, bytes: 10_000 })
    expect(source.length).toBe(0)
    expect(source.take()).toBeUndefined()
    writer.add('peer-a', { messages: 1, bytes: 3 })
    expect(source.take()).toEqual({ type: 'Dropped', peerId: 'peer-a', messages: 1, bytes: 3 })
    expect(writer.total).toBe(2_001)
  })

  it('count beyond 32 bits', () => {
    const { writer, source } = droppedPair()
    for (let i = 0; i < 3; i++) writer.add('peer-a', { messages: 2 ** 40, bytes: 2 ** 50 })
    expect(source.take()).toMatchObject({ messages: 3 * 2 ** 40, bytes: 3 * 2 ** 50 })
  })

  it('keep peers apart, in the order of their first drop', () => {
    const { writer, source } = droppedPair()
    for (const peerId of ['peer-a', 'peer-b', 'peer-a', 'peer-c', 'peer-b'])
      writer.add(peerId, { messages: 1, bytes: 4 })
    expect(source.length).toBe(3)
    expect([source.take(), source.take(), source.take()]).toEqual([
      { type: 'Dropped', peerId: 'peer-a', messages: 2, bytes: 8 },
      { type: 'Dropped', peerId: 'peer-b', messages: 2, bytes: 8 },
      { type: 'Dropped', peerId: 'peer-c', messages: 1, bytes: 4 }
    ])
  })

  it('lose and double nothing, however adding and reading alternate', () => {
    const step = fc.oneof(
      {
        weight: 3,
        arbitrary: fc.record({ peer: fc.nat(5), messages: fc.integer({ min: 1, max: 9 }), bytes: fc.nat(99) })
      },
      { weight: 1, arbitrary: fc.constant('read' as const) }
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), steps => {
        const { writer, source } = droppedPair()
        const added = new Map<string, [number, number]>()
        const told = new Map<string, [number, number]>()
        const unread = new Set<string>()
        const take = (): PriorityEvent | undefined => {
          const event = source.take()
          if (event === undefined) return undefined
          const [messages, bytes] = told.get(event.peerId) ?? [0, 0]
          told.set(event.peerId, [messages + event.messages, bytes + event.bytes])
          expect(unread.delete(event.peerId)).toBe(true)
          return event
        }
        for (const item of steps) {
          if (item === 'read') take()
          else {
            const peerId = `peer-${item.peer}`
            writer.add(peerId, item)
            const [messages, bytes] = added.get(peerId) ?? [0, 0]
            added.set(peerId, [messages + item.messages, bytes + item.bytes])
            unread.add(peerId)
          }
          expect(source.length).toBe(unread.size)
        }
        while (take() !== undefined);
        expect(told).toEqual(added)
      }),
      { seed, numRuns: 500 }
    )
  })

  it('give the slots of peers whose counts are read to others', () => {
    const { writer, source } = droppedPair()
    for (let i = 0; i < 3 * SLOTS; i++) {
      writer.add(`peer-${i}`, { messages: 1, bytes: i })
      const event = source.take()
      if (event?.peerId !== `peer-${i}` || event.bytes !== i)
        throw new Error(`peer ${i}: ${JSON.stringify(event)}`)
    }
    expect(source.length).toBe(0)
  })

  it('never count for the peer that has a slot now what belongs to the one that had it before', () => {
    const { writer, source } = droppedPair()
    writer.add('peer-old', { messages: 1, bytes: 1 })
    expect(source.take()?.peerId).toBe('peer-old')
    for (let i = 0; i < SLOTS; i++) writer.add(`peer-${i}`, { messages: 1, bytes: 1 })
    writer.add('peer-old', { messages: 100, bytes: 100 })
    for (let i = 0; i < SLOTS; i++) {
      const event = source.take()
      if (event?.peerId !== `peer-${i}` || event.messages !== 1) throw new Error(JSON.stringify(event))
    }
    writer.add('peer-0', { messages: 1, bytes: 1 })
    expect([source.take(), source.take()]).toEqual([
      { type: 'Dropped', peerId: 'peer-old', messages: 100, bytes: 100 },
      { type: 'Dropped', peerId: 'peer-0', messages: 1, bytes: 1 }
    ])
  })

  it('of peers that find no slot wait for one, and are complete then', { tags: ['long'] }, () => {
    const { writer, source } = droppedPair()
    for (let i = 0; i < SLOTS + 3; i++) writer.add(`peer-${i}`, { messages: 1, bytes: 1 })
    for (let i = 0; i < SLOTS + 3; i++) writer.add(`peer-${i}`, { messages: 1, bytes: 1 })
    expect(source.length).toBe(SLOTS)
    for (let i = 0; i < SLOTS; i++) {
      const event = source.take()
      if (event?.peerId !== `peer-${i}` || event.messages !== 2)
        throw new Error(`peer ${i}: ${JSON.stringify(event)}`)
    }
    writer.add('peer-new', { messages: 1, bytes: 1 })
    const rest = Array.from({ length: 5 }, () => source.take())
    expect(rest).toEqual([
      { type: 'Dropped', peerId: `peer-${SLOTS}`, messages: 2, bytes: 2 },
      { type: 'Dropped', peerId: `peer-${SLOTS + 1}`, messages: 2, bytes: 2 },
      { type: 'Dropped', peerId: `peer-${SLOTS + 2}`, messages: 2, bytes: 2 },
      { type: 'Dropped', peerId: 'peer-new', messages: 1, bytes: 1 },
      undefined
    ])
    writer.add('peer-new', { messages: 1, bytes: 1 })
    expect([source.take(), source.take()]).toEqual([
      { type: 'Dropped', peerId: 'peer-new', messages: 1, bytes: 1 },
      undefined
    ])
  })
})
