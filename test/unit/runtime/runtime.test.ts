import { expect, it } from 'vitest'
import { generatePrivateKey } from '../../../src/identity/index.ts'
import { resolveOptions } from '../../../src/options.ts'
import { Runtime } from '../../../src/runtime/runtime.ts'
import type { RuntimeInit } from '../../../src/runtime/runtime.ts'
import { FakeClock } from '../protocol/support.ts'

it('answers a question while the application hands over more than a turn takes, and goes on with that', async () => {
  let turns = 0
  let ended = false
  const init = {
    privateKey: await generatePrivateKey(),
    listen: [],
    options: resolveOptions(),
    clock: new FakeClock(),
    commands: {
      // A turn's share is always there, and more.
      drain: () => {
        if (++turns > 100) throw new Error('the question waits for all of it')
        return !ended
      }
    },
    events: { unreadMessages: 0, unreadBytes: 0 },
    dropped: { total: 0 },
    stopped: () => {}
  }
  const runtime = new Runtime(init as unknown as RuntimeInit)
  for (let i = 0; i < 10; i++) {
    expect(runtime.request({ method: 'inspect' })).toMatchObject({ peers: [] })
    expect(runtime.request({ method: 'allow-list.entries' })).toEqual([])
  }
  // However many questions: one share a turn, so that sockets get their turns.
  expect(turns).toBe(1)
  const taken = turns
  await new Promise(resolve => setImmediate(() => setImmediate(resolve)))
  expect(turns).toBeGreaterThan(taken)
  ended = true
})
