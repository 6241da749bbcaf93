import * as fc from 'fast-check'
import type { Uint8ArrayList } from 'uint8arraylist'
import { expect, it, onTestFinished, vi } from 'vitest'
import { handOver } from '../../../src/libp2p/hand-over.ts'
import { seed, TestStream } from '../protocol/support.ts'

/** What may happen to a stream. Its first listener pauses the reading, or resets the stream, when it is told to. */
type Action =
  | { what: 'data'; bytes: number }
  | { what: 'end' | 'push'; bytes: number }
  | { what: 'deafen' | 'hear' | 'pause' | 'resume' | 'reset' | 'abort' | 'turn' }
  | {
      what:
        | 'listen'
        | 'unlisten'
        | 'listen with options'
        | 'pause when read'
        | 'abort when read'
        | 'deafen when read'
        | 'listen when read'
        | 'data when read'
    }

const actions = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ what: fc.constant('data' as const), bytes: fc.nat(3) }) },
    { weight: 1, arbitrary: fc.record({ what: fc.constantFrom('end', 'push' as const), bytes: fc.nat(2) }) },
    {
      weight: 6,
      arbitrary: fc.record({
        what: fc.constantFrom(
          ...(['pause', 'resume', 'turn', 'deafen', 'hear', 'listen', 'unlisten'] as const),
          ...([
            'pause when read',
            'abort when read',
            'deafen when read',
            'listen when read',
            'data when read'
          ] as const)
        )
      })
    },
    {
      weight: 1,
      arbitrary: fc.record({ what: fc.constantFrom('reset', 'abort', 'listen with options' as const) })
    }
  ),
  { maxLength: 24 }
)

/** Plays the actions on a stream; all that could be noticed of it, in order. */
async function play(script: Action[], tune: (stream: TestStream) => void): Promise<string[]> {
  const stream = new TestStream()
  tune(stream)
  const log: string[] = []
  let next = 0
  const on: Array<() => void> = []
  const first = ({ data }: { data: Uint8Array | Uint8ArrayList }): void => {
    const bytes = Buffer.from(data.subarray())
    log.push(`first ${bytes.join(',')}`)
    on.splice(0).forEach(action => action())
  }
  const second = ({ data }: { data: { byteLength: number } }): void =>
    void log.push(`second ${data.byteLength}`)
  stream.addEventListener('message', first)
  for (const type of ['end', 'close', 'remoteCloseWrite'] as const) {
    stream.addEventListener(type, () => void log.push(type))
  }
  const some = (bytes: number): Uint8Array => Uint8Array.from({ length: bytes }, () => next++ & 0xff)
  const open = (): boolean => stream.readStatus === 'readable' || stream.readStatus === 'paused'
  // The last turn for what is under way.
  for (const action of [...script, { what: 'turn' } as const]) {
    switch (action.what) {
      case 'data':
        stream.receive(some(action.bytes))
        break
      case 'end':
        stream.receiveEnd(some(action.bytes))
        break
      case 'push':
        if (open()) stream.push(some(action.bytes))
        break
      case 'deafen':
        stream.removeEventListener('message', first)
        break
      case 'hear':
        stream.addEventListener('message', first)
        break
      case 'pause':
        if (open()) stream.pause()
        break
      case 'resume':
        if (open()) stream.resume()
        break
      case 'reset':
        stream.receiveReset()
        break
      case 'abort':
        stream.abort(new Error('over'))
        break
      case 'turn':
        // As long as upstream takes its time with what is pushed back.
        await new Promise(resolve => setTimeout(resolve, 0))
        break
      case 'listen':
        stream.addEventListener('message', second)
        break
      case 'listen with options':
        stream.addEventListener('message', second, { once: true })
        break
      case 'unlisten':
        stream.removeEventListener('message', second)
        break
      case 'pause when read':
        on.push(() => {
          if (open()) stream.pause()
        })
        break
      case 'deafen when read':
        on.push(() => stream.removeEventListener('message', first))
        break
      case 'listen when read':
        on.push(() => stream.addEventListener('message', second))
        break
      case 'data when read':
        on.push(() => stream.receive(some(2)))
        break
      case 'abort when read':
        on.push(() => stream.abort(new Error('over')))
        break
    }
    log.push(`${stream.status} ${stream.readStatus} ${stream.readBufferLength} ${stream.readableEnded}`)
  }
  return log
}

it('nothing can be noticed of it, whatever happens to the stream', async () => {
  await fc.assert(
    fc.asyncProperty(actions, async script => {
      expect(await play(script, handOver)).toEqual(await play(script, () => {}))
    }),
    { seed, numRuns: 1_000 }
  )
})

it('takes what a listener throws for a defect of this side, and goes on', () => {
  const stream = new TestStream()
  handOver(stream)
  const thrown: Array<() => void> = []
  vi.spyOn(process, 'nextTick').mockImplementation(action => void thrown.push(action as () => void))
  onTestFinished(() => void vi.restoreAllMocks())
  let calls = 0
  stream.addEventListener('message', () => {
    calls++
    throw new Error('a defect')
  })
  stream.receive(new Uint8Array(1))
  stream.receiveEnd(new Uint8Array(1))
  expect([calls, stream.readStatus, stream.readableEnded]).toEqual([2, 'closed', true])
  expect(thrown).toHaveLength(2)
  for (const again of thrown) expect(again).toThrow('a defect')
})

it('makes no event of what arrives', () => {
  const stream = new TestStream()
  handOver(stream)
  let events = 0
  stream.addEventListener('message', event => {
    if (event instanceof Event) events++
  })
  stream.receive(new Uint8Array(1))
  expect(events).toBe(0)
  stream.pause()
  stream.receive(new Uint8Array(1))
  stream.resume()
  expect(events).toBe(1)
})
