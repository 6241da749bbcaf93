import * as fc from 'fast-check'
import { expect, it } from 'vitest'
import { SendQueue } from '../../../src/protocol/send-queue.ts'
import { SendWindow } from '../../../src/protocol/window.ts'
import { concat, FakeClock, frame, message, seed } from './support.ts'

const limits = { windowMessages: 7, windowBytes: 300_000, ackTimeoutMs: 100, msPerByte: 0.01, maxDelayMs: 0 }

const step = fc.oneof(
  fc.record({ send: fc.array(fc.constantFrom(4, 100, 5_000, 200_000), { minLength: 1, maxLength: 5 }) }),
  fc.record({ wait: fc.constantFrom(1, 40, 100, 2_500) }),
  fc.record({ answer: fc.integer({ min: 1, max: 4 }) }),
  fc.constantFrom('admit', 'admit', 'admit', 'expire', 'lose', 'rewind', 'clear')
)

/** A message as a naive twin remembers it. */
interface Known {
  bytes: number
  writtenAt: number
  isOverdue: boolean
}

it('a window and its queue know what a list of the messages knows, whatever happens', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: 'max' }), steps => {
      const clock = new FakeClock()
      const window = new SendWindow({
        clock,
        limits,
        lastReceivedAt: () => 0,
        whenHeard: () => () => {},
        unanswered: () => {}
      })
      const queue = new SendQueue()
      let written: Known[] = []
      let waiting: Uint8Array[] = []
      let sent: Uint8Array[] = []
      let answeredAt = 0
      let maxBytes = limits.windowBytes
      let number = 0
      const sum = (list: Known[]): number => list.reduce((bytes, known) => bytes + known.bytes, 0)
      const deadline = (): number => {
        const { bytes, writtenAt } = written.find(({ isOverdue }) => !isOverdue)!
        return Math.max(writtenAt, answeredAt) + 100 + bytes * 0.01
      }
      /** What the twin thinks leaves from the front. */
      const leave = (count: number): { awaited: number; bytes: number } => {
        const gone = written.splice(0, count)
        sent.splice(0, count)
        return { awaited: gone.filter(({ isOverdue }) => !isOverdue).length, bytes: sum(gone) }
      }
      for (const item of steps) {
        if (item === 'admit') {
          const batch: Known[] = []
          while (waiting.length > 0 && sum(batch) < 256 * 1024) {
            const bytes = waiting[0]!.length
            const fits = written.length < limits.windowMessages && sum(written) + bytes <= maxBytes
            if (!fits && written.length > 0) break
            const known = { bytes, writtenAt: clock.now(), isOverdue: false }
            batch.push(known)
            written.push(known)
            sent.push(waiting.shift()!)
          }
          const bytes = window.admit()
          expect(bytes).toBe(sum(batch))
          const expected = concat(sent.slice(sent.length - batch.length))
          expect(Buffer.compare(concat(queue.take(bytes)), expected)).toBe(0)
        } else if (item === 'expire') {
          let count = 0
          while (written.some(({ isOverdue }) => !isOverdue) && deadline() <= clock.now()) {
            written.find(({ isOverdue }) => !isOverdue)!.isOverdue = true
            count++
          }
          expect(window.expire()).toBe(count)
        } else if (item === 'lose' || item === 'clear') {
          const departure = window.lose()
          expect(departure).toEqual(leave(written.length))
          queue.release(departure.bytes, 0)
          if (item === 'clear') {
            expect(window.clear()).toBe(waiting.length)
            queue.clear()
            waiting = []
          }
        } else if (item === 'rewind') {
          const departure = window.rewind()
          const overdue = written.filter(({ isOverdue }) => isOverdue)
          leave(overdue.length)
          expect(departure).toEqual({ awaited: 0, bytes: sum(overdue) })
          queue.release(departure.bytes, 0)
          queue.rewind()
          waiting = [...sent, ...waiting]
          written = []
          sent = []
          maxBytes = 64 * 1024
        } else if ('send' in item) {
          const frames = item.send.map(size => frame(message(number++, size)))
          waiting.push(...frames)
          window.add(concat(frames))
          queue.add(concat(frames))
        } else if ('wait' in item) clock.advance(item.wait)
        else if (written.length > 0) {
          const count = Math.min(item.answer, written.length)
          const departure = window.answer(count)
          expect(departure).toEqual(leave(count))
          queue.release(departure.bytes, 0)
          answeredAt = clock.now()
          maxBytes = Math.min(limits.windowBytes, maxBytes + departure.bytes)
        }
        const awaited = written.filter(({ isOverdue }) => !isOverdue).length
        expect(window.inFlight).toBe(written.length)
        expect(window.awaited).toBe(awaited)
        expect(window.waiting).toBe(waiting.length)
        expect(window.unsettled).toBe(awaited + waiting.length)
        if (awaited > 0) expect(window.deadline()).toBe(deadline())
        const total = sum(written)
        for (const backlog of [0, 1, 5, 102, 5_002, total, total + 1]) {
          let end = 0
          const places = written.map(({ bytes }) => ({ begin: end, end: (end += bytes) }))
          expect(window.whole(backlog)).toBe(places.filter(place => place.end <= total - backlog).length)
          expect(window.begun(backlog)).toBe(places.filter(place => place.begin < total - backlog).length)
        }
      }
    }),
    { seed, numRuns: 300 }
  )
})
