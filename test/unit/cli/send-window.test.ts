import * as fc from 'fast-check'
import { expect, it } from 'vitest'
import { SendWindow } from '../../../src/cli/send-window.ts'

/** A network that keeps the order, and a receiver that has no room at times and takes only what comes next. */
function transfer(size: number, chunk: number, inFlight: number, refusals: boolean[]): string {
  const window = new SendWindow()
  const refused = refusals.values()
  const flying: Array<{ id: number; begin: number; bytes: number }> = []
  let received = ''
  for (let id = 1; window.position < size || !window.settled || window.holding; id++) {
    if (!window.holding && window.position < size && flying.length < inFlight) {
      const bytes = Math.min(chunk, size - window.position)
      flying.push({ id, begin: window.position, bytes })
      window.sent(id, bytes)
      continue
    }
    const arriving = flying.shift()!
    const taken = refused.next().value !== true
    if (taken && arriving.begin === received.length) {
      received += content(size).slice(arriving.begin, arriving.begin + arriving.bytes)
    }
    window.outcome(arriving.id, taken)
  }
  return received
}

function content(size: number): string {
  return Array.from({ length: size }, (_, i) => String.fromCodePoint(65 + (i % 26))).join('')
}

it('everything arrives once and in order, whatever the receiver refuses', () => {
  fc.assert(
    fc.property(
      fc.nat(60),
      fc.integer({ min: 1, max: 7 }),
      fc.integer({ min: 1, max: 9 }),
      fc.array(fc.boolean(), { maxLength: 200 }),
      (size, chunk, inFlight, refusals) => {
        expect(transfer(size, chunk, inFlight, refusals)).toBe(content(size))
      }
    ),
    { seed: 20_260_105 }
  )
})

it('what was refused and all that was sent after it goes again, when the fate of each is known', () => {
  const window = new SendWindow()
  for (const id of [1, 2, 3]) window.sent(id, 10)

  window.outcome(1, true)
  window.outcome(2, false)
  expect(window.holding).toBe(true)

  window.outcome(3, true)
  expect(window).toMatchObject({ holding: false, position: 10, resent: 2, settled: true })
})
