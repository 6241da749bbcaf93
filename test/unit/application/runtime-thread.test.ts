import { describe, expect, it } from 'vitest'
import { RuntimeThread } from '../../../src/application/runtime-thread.ts'
import type { RuntimeThreadInit } from '../../../src/application/runtime-thread.ts'
import { RuntimeState, Word } from '../../../src/bridge/control-block.ts'
import { DOORBELL } from '../../../src/bridge/thread-messages.ts'
import type { ControlRequest, QueueNotice } from '../../../src/bridge/thread-messages.ts'
import type { P2pError } from '../../../src/errors.ts'

/** A thread's file: it has `port`, `control`, `post` and `running`, and does as it is told. */
function program(code: string): string {
  const text = `
    import { workerData } from 'node:worker_threads'
    const { port, data: { control } } = workerData
    const post = message => {
      port.postMessage(message)
      Atomics.add(control, ${Word.replySignal}, 1)
      Atomics.notify(control, ${Word.replySignal})
    }
    const running = () => {
      Atomics.store(control, ${Word.state}, ${RuntimeState.running})
      post({ started: { addresses: ['/ip4/127.0.0.1/tcp/1'] } })
    }
    ${code}`
  return `data:text/javascript,${encodeURIComponent(text)}`
}

/** It answers with what it was asked, an error where it was asked for one, and ends when it is told to. */
const ANSWERING = program(`
  port.on('message', ({ request, body }) => {
    if (body.method === 'inspect') post({ reply: request, error: { code: 'ERR_CLOSED', message: 'no' } })
    else if (body.method === 'allow-list.entries') process.exit(1)
    else post({ reply: request, value: body })
  })
  running()`)

interface Told {
  died: P2pError[]
  segments: QueueNotice[]
  wakes: number
}

function start(workerUrl: string): { thread: RuntimeThread; told: Told } {
  const told: Told = { died: [], segments: [], wakes: 0 }
  const thread = new RuntimeThread({
    data: {} as RuntimeThreadInit['data'],
    workerUrl,
    segment: notice => told.segments.push(notice),
    log: () => {},
    wake: () => told.wakes++,
    died: err => told.died.push(err)
  })
  return { thread, told }
}

const REMOVE: ControlRequest = { method: 'allow-list.remove', peerId: 'peer-a' }
const INSPECT: ControlRequest = { method: 'inspect' }
/** The program ends instead of answering. */
const END: ControlRequest = { method: 'allow-list.entries' }

describe('the handle on the thread', () => {
  it('asks and blocks for the answer, or awaits it', async () => {
    const { thread, told } = start(ANSWERING)
    expect(thread.waitUntilStarted()).toEqual(['/ip4/127.0.0.1/tcp/1'])
    expect(thread.request(REMOVE)).toEqual(REMOVE)
    expect(() => thread.request(INSPECT)).toThrow(
      expect.objectContaining({ code: 'ERR_CLOSED', message: 'no' })
    )
    expect(await thread.requestAsync(REMOVE)).toEqual(REMOVE)
    await expect(thread.requestAsync(INSPECT)).rejects.toMatchObject({ code: 'ERR_CLOSED', message: 'no' })
    expect(told.died).toEqual([])
    expect(() => thread.request(END)).toThrow('the runtime ended before it answered')
    await thread.closed
  })

  it('gives each of several questions its own answer', async () => {
    const { thread } = start(ANSWERING)
    await thread.untilStarted()
    const bodies = ['peer-a', 'peer-b', 'peer-c'].map(peerId => ({ ...REMOVE, peerId }))
    const answers = bodies.map(body => thread.requestAsync(body))
    expect(thread.request(REMOVE)).toEqual(REMOVE)
    expect(await Promise.all(answers)).toEqual(bodies)
    expect(() => thread.request(END)).toThrow('before it answered')
    await thread.closed
  })

  it('refuses what cannot cross, and asks on', async () => {
    const { thread } = start(ANSWERING)
    thread.waitUntilStarted()
    const body = { ...REMOVE, peerId: (() => {}) as unknown as string }
    expect(() => thread.request(body)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_OPTION' }))
    await expect(thread.requestAsync(body)).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' })
    expect(thread.request(REMOVE)).toEqual(REMOVE)
    expect(() => thread.request(END)).toThrow('before it answered')
    await thread.closed
  })

  it.each(['waitUntilStarted', 'untilStarted'] as const)(
    'tells what kept the thread from starting: %s',
    async way => {
      const failing = program(`
      post({ started: { error: { code: 'ERR_LISTEN_FAILED', message: 'taken' } } })
      Atomics.store(control, ${Word.state}, ${RuntimeState.failed})`)
      const { thread, told } = start(failing)
      await expect(async () => thread[way]()).rejects.toMatchObject({
        code: 'ERR_LISTEN_FAILED',
        message: 'taken'
      })
      expect(told.died).toEqual([])
    }
  )

  it.each(['waitUntilStarted', 'untilStarted'] as const)(
    'tells that the thread ended without a word: %s',
    async way => {
      const { thread, told } = start(program('process.exit(0)'))
      await expect(async () => thread[way]()).rejects.toMatchObject({ code: 'ERR_RUNTIME_FAILED' })
      await thread.closed
      expect(told.died).toHaveLength(1)
      expect(Atomics.load(thread.control, Word.state)).toBe(RuntimeState.failed)
    }
  )

  it.each(['waitUntilStarted', 'untilStarted'] as const)(
    'tells that the thread’s file is missing: %s',
    async way => {
      const { thread } = start(new URL('missing.mjs', import.meta.url).href)
      await expect(async () => thread[way]()).rejects.toThrow(/missing\.mjs is missing/)
      await thread.closed
    }
  )

  it('rejects what is awaited when the thread ends, tells it once, and answers nothing any more', async () => {
    const { thread, told } = start(ANSWERING)
    await thread.untilStarted()
    await expect(thread.requestAsync(END)).rejects.toMatchObject({ code: 'ERR_CLOSED' })
    await thread.closed
    expect(told.died).toMatchObject([{ code: 'ERR_RUNTIME_FAILED' }])
    expect(told.died[0]!.message).toContain('it ended without a word')
    expect(told.wakes).toBeGreaterThan(0)
    expect(() => thread.request(REMOVE)).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }))
    await expect(thread.requestAsync(REMOVE)).rejects.toMatchObject({ code: 'ERR_CLOSED' })
    thread.assertAlive()
    expect(told.died).toHaveLength(1)
  })

  it('notices the end without a turn of the event loop', async () => {
    const { thread, told } = start(program('running(); setTimeout(() => process.exit(1), 10)'))
    thread.waitUntilStarted()
    while (told.died.length === 0) {
      Atomics.wait(thread.control, Word.receiverSignal, 0, 20)
      thread.assertAlive()
    }
    expect(Atomics.load(thread.control, Word.state)).toBe(RuntimeState.failed)
    await thread.closed
  })

  it('hands on segments at once, and a doorbell on the event loop', async () => {
    const { thread, told } = start(
      program(`
        port.postMessage(${DOORBELL})
        port.postMessage({ queue: 'events', segment: 1, memory: new SharedArrayBuffer(8) })
        running()
        port.on('message', () => process.exit(0))`)
    )
    thread.waitUntilStarted()
    expect(told.segments).toMatchObject([{ queue: 'events', segment: 1 }])
    expect(told.wakes).toBe(0)
    await new Promise(resolve => setImmediate(resolve))
    expect(told.wakes).toBe(1)
    thread.post(DOORBELL)
    thread.awaitEnd()
    await thread.closed
  })
})
