import { expect, it } from 'vitest'
import { Totals } from '../../../src/runtime/totals.ts'

const MAX_GONE = 16_384
const some = { sent: 1, bytesSent: 10, received: 2, bytesReceived: 20 }
const none = { sent: 0, bytesSent: 0, received: 0, bytesReceived: 0 }

it('gives a peer that comes back what it had, once', () => {
  const totals = new Totals()
  expect(totals.take('peer')).toBeUndefined()
  totals.keep('peer', some)
  expect(totals.take('peer')).toEqual(some)
  expect(totals.take('peer')).toBeUndefined()
})

it.each([
  { ...some, sent: 0 },
  { ...some, received: 0 }
])('keeps %j', counters => {
  const totals = new Totals()
  totals.keep('peer', counters)
  expect(totals.take('peer')).toEqual(counters)
})

it('keeps so many peers and forgets who went first; peers without a message take no room', () => {
  const totals = new Totals()
  for (let i = 0; i <= MAX_GONE; i++) {
    totals.keep(`peer ${i}`, some)
    totals.keep(`silent ${i}`, none)
  }
  expect(totals.take('peer 0')).toBeUndefined()
  expect(totals.take('silent 1')).toBeUndefined()
  for (let i = 1; i <= MAX_GONE; i++) expect(totals.take(`peer ${i}`)).toEqual(some)
})

it('counts who came back and went again as gone last', () => {
  const totals = new Totals()
  for (let i = 0; i < MAX_GONE; i++) totals.keep(`peer ${i}`, some)
  totals.keep('peer 0', { ...some, ...totals.take('peer 0') })
  totals.keep('another', some)
  expect(totals.take('peer 0')).toEqual(some)
  expect(totals.take('peer 1')).toBeUndefined()
})
