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

it('memory that is given up in the turn in which it was granted calls nobody, and is there for the next', async () => {
  const memory = new MemoryReservation(100)
  const called: string[] = []
  const first = memory.reserve(100, () => called.push('first'))
  const second = memory.reserve(100, () => called.push('second'))
  const third = memory.reserve(100, () => called.push('third'))
  first.release()
  expect(second.isGranted).toBe(true)
  second.release()
  expect(third.isGranted).toBe(true)
  await turn()
  expect(called).toEqual(['third'])
})

it('memory that is not waited for any more is not granted', () => {
  const memory = new MemoryReservation(100)
  const first = memory.reserve(100, () => {})
  memory.reserve(100, () => {}).release()
  first.release()
  expect(memory.reserve(100, () => {}).isGranted).toBe(true)
})
