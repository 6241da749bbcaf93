import { expect, it } from 'vitest'
import { createAllowList, createRuntime } from '../../../src/application/controls.ts'
import type { RuntimeThread } from '../../../src/application/runtime-thread.ts'
import { RuntimeState, Word } from '../../../src/bridge/control-block.ts'
import { running } from '../bridge/support.ts'

/** A thread that answers each question with the question. */
function echo(): { thread: RuntimeThread; asked: unknown[]; awaited: () => number } {
  const asked: unknown[] = []
  let awaited = 0
  const request = (body: unknown): unknown => {
    asked.push(body)
    return body
  }
  const thread = {
    control: running(),
    request,
    requestAsync: async (body: unknown) => request(body),
    closed: Promise.resolve(),
    awaitEnd: () => awaited++
  }
  return { thread: thread as unknown as RuntimeThread, asked, awaited: () => awaited }
}

it('the allow list asks the thread for each change, and gives answers where there are some', () => {
  const { thread, asked } = echo()
  const list = createAllowList(thread)
  const entry = { peerId: 'peer-a', addresses: ['10.0.0.7'] }
  expect([list.add(entry), list.replace([entry]), list.allowAll(true)]).toEqual([
    undefined,
    undefined,
    undefined
  ])
  expect(list.remove('peer-a')).toEqual({ method: 'allow-list.remove', peerId: 'peer-a' })
  expect(list.entries()).toEqual({ method: 'allow-list.entries' })
  expect(asked).toEqual([
    { method: 'allow-list.add', entry },
    { method: 'allow-list.replace', list: [entry] },
    { method: 'allow-list.allow-all', on: true },
    { method: 'allow-list.remove', peerId: 'peer-a' },
    { method: 'allow-list.entries' }
  ])
})

it('the runtime tells its state, what it holds, and its end to whoever asks for it', async () => {
  const { thread, awaited } = echo()
  const runtime = createRuntime(thread)
  const { starting, stopping, stopped, failed } = RuntimeState
  const states = [starting, RuntimeState.running, stopping, stopped, failed].map(state => {
    Atomics.store(thread.control, Word.state, state)
    return runtime.state
  })
  expect(states).toEqual(['running', 'running', 'stopping', 'stopped', 'stopped'])
  expect(runtime.inspect()).toEqual({ method: 'inspect' })
  expect(await runtime.inspectAsync()).toEqual({ method: 'inspect' })
  expect(JSON.stringify(runtime)).toBe('{}')
  expect(awaited()).toBe(0)
  await runtime.closed
  expect(awaited()).toBe(1)
})
