import * as fc from 'fast-check'
import { expect, it } from 'vitest'
import { Heap } from '../../../src/rate-limiter/heap.ts'

interface Item {
  rank: number
  position: number
}

const acts = fc.array(
  fc.oneof(
    fc.record({ type: fc.constant('push' as const), rank: fc.nat(50) }),
    fc.record({ type: fc.constant('sink' as const), which: fc.nat(), by: fc.nat(20) }),
    fc.record({ type: fc.constant('shift' as const) })
  ),
  { maxLength: 200 }
)

it('always has the item at hand that a search of all items would find', () => {
  fc.assert(
    fc.property(acts, list => {
      const heap = new Heap<Item>((a, b) => a.rank < b.rank)
      const twin = new Set<Item>()
      for (const act of list) {
        if (act.type === 'push') {
          const item = { rank: act.rank, position: -1 }
          heap.push(item)
          twin.add(item)
        } else if (act.type === 'sink' && twin.size > 0) {
          const item = [...twin][act.which % twin.size]!
          item.rank += act.by
          heap.sink(item)
        } else if (act.type === 'shift') {
          const { first } = heap
          heap.shift()
          if (first !== undefined) twin.delete(first)
        }
        expect(heap.size).toBe(twin.size)
        expect(heap.first?.rank).toBe(
          twin.size === 0 ? undefined : Math.min(...[...twin].map(item => item.rank))
        )
        expect(heap.first === undefined || twin.has(heap.first)).toBe(true)
      }
    }),
    { seed: 0x6275636b, numRuns: 500 }
  )
})
