import { expect, it } from 'vitest'
import { Places } from '../../src/places.ts'

const never = new AbortController().signal

it('gives places at once while there are any, then in the order in which they were asked for', async () => {
  const places = new Places(2)
  const first = places.enter(never)
  const second = places.enter(never)
  // Taken before `enter` has returned.
  expect(places.taken).toBe(2)
  const order: string[] = []
  const waiting = ['a', 'b', 'c'].map(async name => {
    const leave = await places.enter(never)
    order.push(name)
    leave()
  })
  const leave = await first
  leave()
  // Once is enough.
  leave()
  await Promise.all(waiting)
  expect(order).toEqual(['a', 'b', 'c'])
  expect(places.taken).toBe(1)
  ;(await second)()
  expect(places.taken).toBe(0)
})

it('lets go of who does not want to wait any more', async () => {
  const places = new Places(1)
  const leave = await places.enter(never)
  const controller = new AbortController()
  const tired = places.enter(controller.signal)
  const patient = places.enter(never)
  controller.abort(new Error('tired'))
  await expect(tired).rejects.toThrow('tired')
  await expect(places.enter(controller.signal)).rejects.toThrow('tired')
  leave()
  ;(await patient)()
  expect(places.taken).toBe(0)
})
