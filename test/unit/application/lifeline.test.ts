import { Worker } from 'node:worker_threads'
import { expect, test } from 'vitest'
import { Lifeline } from '../../../src/application/lifeline.ts'

/** Looks for the end of a thread that a blocked caller makes in half a day. */
const LOOKS = 100_000
/** What may be in use beside before a collection, in MiB; each look that left something behind would leave 2 kB. */
const MAX_GROWTH_MIB = 50
const BLOCK = new Int32Array(new SharedArrayBuffer(4))

test.each([
  ['ends', 'setTimeout(() => {}, 100)'],
  ['ends itself', 'setTimeout(() => process.exit(1), 100)'],
  ['has an exception', 'setTimeout(() => { throw new Error("!") }, 100)']
])('is cut when the thread %s, and that shows without a turn of the event loop', (_, code) => {
  const lifeline = new Lifeline()
  const worker = new Worker(code, {
    eval: true,
    workerData: lifeline.farEnd,
    transferList: [lifeline.farEnd]
  })
  worker.on('error', () => {})
  expect(lifeline.isCut()).toBe(false)
  const end = performance.now() + 15_000
  while (!lifeline.isCut() && performance.now() < end) Atomics.wait(BLOCK, 0, 0, 10)
  expect(lifeline.isCut()).toBe(true)
})

test('looking leaves nothing behind, however long there is no turn of the event loop', () => {
  const lifeline = new Lifeline()
  const before = process.memoryUsage.rss()
  for (let i = 0; i < LOOKS; i++) if (lifeline.isCut()) throw new Error('it is not')
  expect((process.memoryUsage.rss() - before) / 2 ** 20).toBeLessThan(MAX_GROWTH_MIB)
  lifeline.farEnd.close()
})
