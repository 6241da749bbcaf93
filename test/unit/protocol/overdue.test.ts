import * as fc from 'fast-check'
import { expect, it } from 'vitest'
import { Overdue } from '../../../src/protocol/overdue.ts'
import { FakeClock, Listeners, seed } from './support.ts'

const GRACE_MS = 100

/** A message that has run out of time, as a naive twin remembers it. */
interface Late {
  at: number
  /** When the peer was first heard behind that. */
  lastReceivedAt: number
}

/** What may happen, and how long after what came before it. */
const step = fc.tuple(
  fc.constantFrom(1, 30, 99, 100, 101, 250),
  fc.constantFrom<'add' | 'hear' | 'answer' | 'clear'>('add', 'add', 'add', 'hear', 'hear', 'answer', 'clear')
)

it('counts each message once whose peer is heard behind its time and does not answer in as long again, and no other', () => {
  let counted = 0
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), steps => {
      const clock = new FakeClock()
      const listeners = new Listeners()
      /** Not answered, oldest first; those that count are in front. */
      let late: Late[] = []
      let before = 0
      const overdue = new Overdue({
        clock,
        graceMs: GRACE_MS,
        whenHeard: listeners.add,
        unanswered: () => {
          const message = late[before]!
          expect(clock.now()).toBeGreaterThanOrEqual(message.lastReceivedAt + GRACE_MS)
          before++
          counted++
        }
      })
      for (const [ms, what] of steps) {
        clock.advance(ms)
        const now = clock.now()
        if (what === 'add') {
          late.push({ at: now, lastReceivedAt: Infinity })
          overdue.add()
        } else if (what === 'hear') {
          for (const message of late) if (message.lastReceivedAt === Infinity) message.lastReceivedAt = now
          listeners.tell()
        } else if (what === 'answer' && late.length > 0) {
          late.shift()
          if (before > 0) before--
          overdue.answered(1)
        } else if (what === 'clear') {
          late = []
          before = 0
          overdue.clear()
        }
        expect(overdue.length).toBe(late.length)
        expect(overdue.counted).toBe(before)
        if (late.length === before) expect(listeners.size + clock.armed).toBe(0)
        else expect(listeners.size + clock.armed).toBe(1)
      }
      // One that is heard often enough, and never answers, pays for all.
      for (let i = 0; i < 4; i++) {
        clock.advance(GRACE_MS)
        for (const message of late)
          if (message.lastReceivedAt === Infinity) message.lastReceivedAt = clock.now()
        listeners.tell()
      }
      clock.advance(GRACE_MS)
      expect(before).toBe(late.length)
    }),
    { seed, numRuns: 2_000 }
  )
  expect(counted).toBeGreaterThan(2_000)
})
