import * as fc from 'fast-check'
import { expect, it } from 'vitest'
import { MemoryReservation } from '../../../src/protocol/index.ts'
import type { Reservation } from '../../../src/protocol/memory-reservation.ts'
import { seed, turn } from './support.ts'

it('memory for messages is never exceeded or lost, and is had in the order of asking', async () => {
  const LIMIT = 100
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.record({ enter: fc.integer({ min: 1, max: LIMIT }) }) },
    { weight: 2, arbitrary: fc.record({ leave: fc.nat(20) }) },
    { weight: 1, arbitrary: fc.constant('turn' as const) }
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async steps => {
      const memory = new MemoryReservation(LIMIT)
      const places: Array<{ place: Reservation; bytes: number; number: number }> = []
      const granted: number[] = []
      let asked = 0
      const check = (): void => {
        const taken = places.reduce((sum, { place, bytes }) => sum + (place.isGranted ? bytes : 0), 0)
        expect(taken).toBeLessThanOrEqual(LIMIT)
        const next = places.find(({ place }) => !place.isGranted)
        if (next !== undefined) expect(taken + next.bytes).toBeGreaterThan(LIMIT)
      }
      for (const item of steps) {
        if (item === 'turn') await turn()
        else if ('enter' in item) {
          const number = asked++
          places.push({
            place: memory.reserve(item.enter, () => granted.push(number)),
            bytes: item.enter,
            number
          })
        } else places.splice(item.leave, 1)[0]?.place.release()
        check()
      }
      while (places.length > 0) {
        places.shift()!.place.release()
        check()
      }
      await turn()
      expect(granted).toEqual(granted.toSorted((a, b) => a - b))
      expect(new Set(granted).size).toBe(granted.length)
      expect(memory.reserve(LIMIT, () => {}).isGranted).toBe(true)
    }),
    { seed, numRuns: 300 }
  )
})
