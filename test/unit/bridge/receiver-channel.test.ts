import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { RuntimeState, Word } from '../../../src/bridge/control-block.ts'
import type { ControlEvent, P2pEvent, StatusFailure } from '../../../src/bridge/types.ts'
import { P2pError } from '../../../src/errors.ts'
import { already, Bench, frame, pattern, runOf, seed } from './support.ts'

const FAILURES: StatusFailure[] = [
  'not-connected',
  'refused-full',
  'refused-too-large',
  'ack-timeout',
  'connection-lost',
  'stopped'
]

function dataOf(event: P2pEvent | undefined): Uint8Array {
  if (event?.type !== 'Data') throw new Error(`a ${event?.type ?? 'missing'} event`)
  return event.data
}

function same(event: P2pEvent | undefined, payload: Uint8Array): boolean {
  return Buffer.compare(dataOf(event), payload) === 0
}

/** The events of these messages, published in one run. */
function through(sizes: number[]): Uint8Array[] {
  const bench = new Bench()
  const handle = bench.writer.introduce('peer-a')
  bench.writer.data(handle, runOf(sizes.map((size, i) => pattern(size, i))))
  const events = bench.drainEvents()
  for (const [i, event] of events.entries())
    if (!same(event, pattern(sizes[i]!, i))) throw new Error(`message ${i}`)
  return events.map(dataOf)
}

describe('receiver channel, from end to end', () => {
  const control: ControlEvent[] = [
    { type: 'ConnectionLimit', peerId: 'peer-a', cause: 'malformed-message' },
    { type: 'ConnectionLimit', ip: '10.0.0.7', cause: 'failed-handshake' },
    {
      type: 'Error',
      code: 'ERR_DIAL_FAILED',
      message: 'refused: "ECONNREFUSED" — naïve ✓ \u0000',
      peerId: 'peer-a',
      id: 7
    },
    { type: 'Error', code: 'ERR_RUNTIME_FAILED', message: '' },
    { type: 'Connected', peerId: 'peer-a', address: '/ip4/10.0.0.7/tcp/1', direction: 'inbound' },
    {
      type: 'Connected',
      peerId: 'peer-a',
      address: '/ip4/10.0.0.7/tcp/1',
      direction: 'outbound',
      id: 2 ** 40
    },
    { type: 'Disconnected', peerId: 'peer-a', code: 'lost', reason: 'gone' }
  ]

  it.each(control)('carries $type as it is', event => {
    const bench = new Bench()
    bench.writer.control(event)
    expect(bench.source.length).toBe(1)
    expect(bench.drainEvents()).toEqual([event])
  })

  it('carries messages with the peer they are from', () => {
    const bench = new Bench()
    const a = bench.writer.introduce('peer-a')
    const b = bench.writer.introduce('peer-b')
    bench.writer.data(b, runOf([pattern(3, 1)]))
    bench.writer.data(a, runOf([pattern(0), pattern(200, 2), pattern(5_000, 3)]))
    expect(bench.source.length).toBe(4)
    expect(bench.drainEvents()).toEqual([
      { type: 'Data', peerId: 'peer-b', data: pattern(3, 1) },
      { type: 'Data', peerId: 'peer-a', data: pattern(0) },
      { type: 'Data', peerId: 'peer-a', data: pattern(200, 2) },
      { type: 'Data', peerId: 'peer-a', data: pattern(5_000, 3) }
    ])
  })

  it('carries a message that was spread over several pieces, up to 8 MiB', () => {
    const bench = new Bench()
    const handle = bench.writer.introduce('peer-a')
    const payload = pattern(8 * 1024 * 1024, 5)
    const bytes = frame(payload)
    const parts = [
      bytes.subarray(0, 2),
      bytes.subarray(2, 4),
      bytes.subarray(4, 5_000),
      bytes.subarray(5_000)
    ]
    bench.writer.data(handle, { parts, wireBytes: bytes.length, payloadBytes: payload.length, count: 1 })
    expect(same(bench.source.take(), payload)).toBe(true)
  })

  it.each([undefined, ...FAILURES])('carries the outcome %s with the id of its message', reason => {
    const bench = new Bench()
    const id = bench.sender.sendMsg('peer-a', pattern(1))
    bench.writer.status(bench.ledgers.find('peer-a')!.handle, reason, 1)
    expect(bench.source.length).toBe(1)
    expect(bench.drainEvents()).toEqual([
      reason === undefined
        ? { type: 'Status', peerId: 'peer-a', id, ok: true }
        : { type: 'Status', peerId: 'peer-a', id, ok: false, reason }
    ])
  })

  it('gives a number that was given back to the next peer, and keeps what was published before apart', () => {
    const bench = new Bench()
    const first = bench.writer.introduce('peer-a')
    bench.writer.data(first, runOf([pattern(1)]))
    bench.writer.retire(first)
    const second = bench.writer.introduce('peer-b')
    expect(second).toBe(first)
    bench.writer.data(second, runOf([pattern(2)]))
    expect(bench.drainEvents().map(event => 'peerId' in event && event.peerId)).toEqual(['peer-a', 'peer-b'])
  })

  it.each([1, 2 ** 31, 2 ** 32, 2 ** 40 + 2 ** 31, 2 ** 52 + 1])(
    'strikes out the dial with the id %i when its outcome is read',
    id => {
      const bench = new Bench()
      bench.dials.set(id, 'peer-a')
      bench.writer.control(already(id))
      expect(bench.source.length).toBe(1)
      expect(bench.dials.size).toBe(1)
      expect(bench.source.take()).toEqual(already(id))
      expect(bench.dials.size).toBe(0)
      expect(bench.source.length).toBe(0)
    }
  )

  it('wakes the application once for all that one turn of the event loop publishes', async () => {
    const bench = new Bench()
    const handle = bench.writer.introduce('peer-a')
    for (let i = 0; i < 5; i++) bench.writer.data(handle, runOf([pattern(1)]))
    expect(bench.signals).toBe(0)
    await new Promise(resolve => setImmediate(resolve))
    expect(bench.signals).toBe(1)
    bench.writer.data(handle, runOf([pattern(1)]))
    bench.writer.flush()
    expect(bench.signals).toBe(2)
    await new Promise(resolve => setImmediate(resolve))
    expect(bench.signals).toBe(2)
  })

  describe('memory', () => {
    const sizes = fc.array(fc.oneof(fc.nat(40), fc.nat(4_000), fc.constantFrom(127, 128, 2_047, 8_192)), {
      maxLength: 100
    })

    it('that a message keeps is its own, or at most 8 KiB of small ones', () => {
      fc.assert(
        fc.property(sizes, given => {
          for (const { buffer, length } of through(given)) {
            expect(buffer).toBeInstanceOf(ArrayBuffer)
            if (length <= 64 || length > 2_048) expect(buffer.byteLength).toBe(length)
            else expect(buffer.byteLength).toBe(8_192)
          }
        }),
        { seed, numRuns: 200 }
      )
    })

    it('is shared by small messages that were read, each in a place of its own', () => {
      const messages = through(Array.from({ length: 1_000 }, () => 100))
      expect(new Set(messages.map(data => data.buffer)).size).toBeLessThan(20)
      for (const data of messages) data.fill(0xff)
      const again = through([100, 100, 100])
      again[1]!.fill(0xff)
      expect(again[0]).toEqual(pattern(100, 0))
      expect(again[2]).toEqual(pattern(100, 2))
    })

    it('of small messages does not go away with one of them: it is copied, or the transfer refused', () => {
      const [first, second] = through([100, 100])
      try {
        const { port1 } = new MessageChannel()
        port1.postMessage(first, [first!.buffer as ArrayBuffer])
        port1.close()
      } catch (err) {
        expect(err).toMatchObject({ name: 'DataCloneError' })
      }
      expect(first).toEqual(pattern(100, 0))
      expect(second).toEqual(pattern(100, 1))
    })

    it.each([
      {
        done: 'cleared',
        use: (data: Uint8Array) => void new Uint8Array(data.buffer).fill(0)
      },
      {
        done: 'transferred to another thread, where that is possible',
        use: (data: Uint8Array) => {
          if (data.length <= 64) structuredClone(data, { transfer: [data.buffer as ArrayBuffer] })
        }
      }
    ])('of a message can be $done when it is read, and those behind it arrive intact', ({ use }) => {
      const bench = new Bench()
      const handle = bench.writer.introduce('peer-a')
      const messages = Array.from({ length: 200 }, (_, i) => pattern(1 + (i % 100), i))
      bench.writer.data(handle, runOf(messages))
      for (const message of messages) {
        const data = dataOf(bench.source.take())
        expect(data).toEqual(message)
        use(data)
      }
    })
  })

  describe('length', () => {
    it('is right at every moment, for whatever is published and read', () => {
      const step = fc.oneof(
        { weight: 3, arbitrary: fc.record({ messages: fc.integer({ min: 1, max: 6 }), peer: fc.nat(2) }) },
        { weight: 2, arbitrary: fc.record({ sent: fc.integer({ min: 1, max: 6 }), peer: fc.nat(2) }) },
        { weight: 2, arbitrary: fc.record({ settled: fc.integer({ min: 1, max: 4 }), peer: fc.nat(2) }) },
        { weight: 1, arbitrary: fc.constant('control' as const) },
        { weight: 1, arbitrary: fc.constantFrom('dial' as const, 'dial settled' as const) },
        { weight: 1, arbitrary: fc.constant('connection' as const) },
        { weight: 4, arbitrary: fc.record({ read: fc.integer({ min: 1, max: 8 }) }) }
      )
      const ends = fc.constantFrom(undefined, 'stopped', 'failed', 'died')
      fc.assert(
        fc.property(fc.array(step, { maxLength: 50 }), ends, (steps, end) => {
          const bench = new Bench()
          const handles = [0, 1, 2].map(i => bench.writer.introduce(`peer-${i}`))
          const owed = [0, 0, 0]
          const dials: number[] = []
          let connected = false
          let there = 0
          const check = (): void => {
            if (bench.source.length !== there)
              throw new Error(`length ${bench.source.length}, there are ${there}`)
          }
          for (const item of steps) {
            if (item === 'control') {
              bench.writer.control({ type: 'ConnectionLimit', ip: '10.0.0.7', cause: 'protocol-abuse' })
              there++
            } else if (item === 'dial') dials.push(bench.sender.dial('peer-0', 'host:1'))
            else if (item === 'dial settled') {
              const id = dials.shift()
              if (id === undefined) continue
              bench.writer.control(already(id))
              there++
            } else if (item === 'connection') {
              const id = connected ? undefined : dials.shift()
              bench.writer.control(
                connected
                  ? { type: 'Disconnected', peerId: 'peer-0', code: 'lost', reason: '' }
                  : {
                      type: 'Connected',
                      peerId: 'peer-0',
                      address: '',
                      direction: 'outbound',
                      ...(id && { id })
                    }
              )
              connected = !connected
              there++
            } else if ('messages' in item) {
              bench.writer.data(
                handles[item.peer]!,
                runOf(Array.from({ length: item.messages }, () => pattern(9)))
              )
              there += item.messages
            } else if ('sent' in item) {
              for (let i = 0; i < item.sent; i++) bench.sender.sendMsg(`peer-${item.peer}`, pattern(3))
              owed[item.peer]! += item.sent
            } else if ('settled' in item) {
              const count = Math.min(item.settled, owed[item.peer]!)
              if (count === 0) continue
              bench.writer.status(bench.ledgers.find(`peer-${item.peer}`)!.handle, undefined, count)
              owed[item.peer]! -= count
              there += count
            } else {
              for (let i = 0; i < item.read; i++) {
                if (bench.source.take() === undefined) break
                there--
                check()
              }
            }
            check()
          }
          if (end !== undefined) {
            if (end === 'died') {
              bench.source.fail(new P2pError('ERR_RUNTIME_FAILED', 'dead'))
              there++
            }
            Atomics.store(
              bench.control,
              Word.state,
              end === 'stopped' ? RuntimeState.stopped : RuntimeState.failed
            )
            there += owed[0]! + owed[1]! + owed[2]! + Number(connected) + dials.length
          }
          check()
          while (bench.source.take() !== undefined) {
            there--
            check()
          }
          expect(there).toBe(0)
        }),
        { seed, numRuns: 500 }
      )
    })
  })

  describe('Status', () => {
    it('comes exactly once for every accepted message, in order for each peer, however the runtime ends', () => {
      const step = fc.oneof(
        { weight: 4, arbitrary: fc.record({ sent: fc.integer({ min: 1, max: 20 }), peer: fc.nat(4) }) },
        {
          weight: 3,
          arbitrary: fc.record({
            settled: fc.integer({ min: 1, max: 15 }),
            peer: fc.nat(4),
            outcome: fc.nat(6)
          })
        },
        { weight: 1, arbitrary: fc.record({ read: fc.integer({ min: 1, max: 10 }) }) }
      )
      fc.assert(
        fc.property(
          fc.array(step, { maxLength: 60 }),
          fc.constantFrom(RuntimeState.stopped, RuntimeState.failed),
          (steps, state) => {
            const bench = new Bench()
            const sent = new Map<string, number[]>()
            const told = new Map<string, Array<StatusFailure | undefined>>()
            const unsettled = new Map<string, number>()
            const events: P2pEvent[] = []
            for (const item of steps) {
              if ('sent' in item) {
                const peerId = `peer-${item.peer}`
                for (let i = 0; i < item.sent; i++) {
                  const id = bench.sender.sendMsg(peerId, pattern(2))
                  sent.set(peerId, [...(sent.get(peerId) ?? []), id])
                }
                unsettled.set(peerId, (unsettled.get(peerId) ?? 0) + item.sent)
              } else if ('settled' in item) {
                const peerId = `peer-${item.peer}`
                const count = Math.min(item.settled, unsettled.get(peerId) ?? 0)
                if (count === 0) continue
                const outcome = item.outcome === 6 ? undefined : FAILURES[item.outcome]
                bench.writer.status(bench.ledgers.find(peerId)!.handle, outcome, count)
                unsettled.set(peerId, unsettled.get(peerId)! - count)
                told.set(peerId, [
                  ...(told.get(peerId) ?? []),
                  ...Array.from({ length: count }, () => outcome)
                ])
              } else {
                for (let i = 0; i < item.read; i++) {
                  const event = bench.source.take()
                  if (event !== undefined) events.push(event)
                }
              }
            }
            Atomics.store(bench.control, Word.state, state)
            events.push(...bench.drainEvents())
            const rest = state === RuntimeState.stopped ? 'stopped' : 'connection-lost'
            for (const [peerId, ids] of sent) {
              const statuses = events.filter(event => event.type === 'Status' && event.peerId === peerId)
              expect(statuses.map(event => 'id' in event && event.id)).toEqual(ids)
              const reasons = statuses.map(event =>
                event.type === 'Status' && !event.ok ? event.reason : undefined
              )
              const known = told.get(peerId) ?? []
              expect(reasons).toEqual([...known, ...ids.slice(known.length).map(() => rest)])
            }
            expect(bench.source.take()).toBeUndefined()
          }
        ),
        { seed, numRuns: 500 }
      )
    })
  })

  describe('the end', () => {
    it('comes behind everything that was published before it', () => {
      const bench = new Bench()
      const id = bench.sender.sendMsg('peer-a', pattern(1))
      const handle = bench.writer.introduce('peer-b')
      bench.writer.data(handle, runOf([pattern(1)]))
      bench.source.fail(new P2pError('ERR_RUNTIME_FAILED', 'dead'))
      Atomics.store(bench.control, Word.state, RuntimeState.failed)
      expect(bench.drainEvents()).toEqual([
        { type: 'Data', peerId: 'peer-b', data: pattern(1) },
        { type: 'Error', code: 'ERR_RUNTIME_FAILED', message: 'dead' },
        { type: 'Status', peerId: 'peer-a', id, ok: false, reason: 'connection-lost' }
      ])
    })

    it('by death ends every connection and every dial that is open, once, behind the messages', () => {
      const bench = new Bench()
      const [come, gone, dialled, refused, underWay] = [
        'come',
        'gone',
        'dialled',
        'refused',
        'under-way'
      ].map(name => `peer-${name}`) as [string, string, string, string, string]
      const ids = [dialled, refused, underWay].map(peerId => bench.sender.dial(peerId, 'host:1'))
      const connection = (peerId: string): Extract<ControlEvent, { type: 'Connected' }> => ({
        type: 'Connected',
        peerId,
        address: '/ip4/10.0.0.7/tcp/1',
        direction: 'inbound'
      })
      bench.writer.control(connection(gone))
      bench.writer.control(connection(come))
      bench.writer.control({ type: 'Disconnected', peerId: gone, code: 'lost', reason: 'left' })
      bench.writer.control({ ...connection(dialled), id: ids[0]! })
      bench.writer.control({ type: 'Error', code: 'ERR_DIAL_FAILED', message: 'no', id: ids[1]! })
      expect(bench.drainEvents()).toHaveLength(5)
      const id = bench.sender.sendMsg(come, pattern(1))

      bench.source.fail(new P2pError('ERR_RUNTIME_FAILED', 'dead'))
      Atomics.store(bench.control, Word.state, RuntimeState.failed)
      expect(bench.source.length).toBe(5)
      expect(bench.drainEvents()).toEqual([
        { type: 'Error', code: 'ERR_RUNTIME_FAILED', message: 'dead' },
        { type: 'Status', peerId: come, id, ok: false, reason: 'connection-lost' },
        { type: 'Disconnected', peerId: come, code: 'stopped', reason: 'the runtime failed' },
        { type: 'Disconnected', peerId: dialled, code: 'stopped', reason: 'the runtime failed' },
        {
          type: 'Error',
          code: 'ERR_DIAL_FAILED',
          message: 'dial ended: the runtime failed',
          peerId: underWay,
          id: ids[2],
          why: 'denied'
        }
      ])
      expect(bench.source.length).toBe(0)
    })

    it('by death is told once', () => {
      const bench = new Bench()
      bench.source.fail(new P2pError('ERR_RUNTIME_FAILED', 'first'))
      bench.source.fail(new P2pError('ERR_RUNTIME_FAILED', 'second'))
      expect(bench.source.take()).toBeUndefined()
      Atomics.store(bench.control, Word.state, RuntimeState.failed)
      expect(bench.drainEvents()).toEqual([{ type: 'Error', code: 'ERR_RUNTIME_FAILED', message: 'first' }])
      expect(bench.source.length).toBe(0)
    })
  })

  describe('credits', () => {
    it('admit messages up to the limit and not one more, until one is read', () => {
      const bench = new Bench(undefined, { messages: 3, bytes: 1_000 })
      const handle = bench.writer.introduce('peer-a')
      expect(bench.writer.hasRoom(3, 0)).toBe(true)
      expect(bench.writer.hasRoom(4, 0)).toBe(false)
      bench.writer.data(handle, runOf([pattern(0), pattern(0), pattern(0)]))
      expect(bench.writer.hasRoom(1, 0)).toBe(false)
      bench.source.take()
      expect(bench.writer.hasRoom(1, 0)).toBe(true)
      expect(bench.writer.hasRoom(2, 0)).toBe(false)
      expect(bench.writer.unreadMessages).toBe(2)
    })

    it('admit payload bytes up to the limit and not one more, until some are read', () => {
      const bench = new Bench(undefined, { messages: 100, bytes: 1_000 })
      const handle = bench.writer.introduce('peer-a')
      expect(bench.writer.hasRoom(2, 1_000)).toBe(true)
      expect(bench.writer.hasRoom(2, 1_001)).toBe(false)
      bench.writer.data(handle, runOf([pattern(400), pattern(600)]))
      expect(bench.writer.unreadBytes).toBe(1_000)
      expect(bench.writer.hasRoom(1, 1)).toBe(false)
      expect(bench.writer.hasRoom(1, 0)).toBe(true)
      bench.source.take()
      expect(bench.writer.hasRoom(1, 400)).toBe(true)
      expect(bench.writer.hasRoom(1, 401)).toBe(false)
    })

    it('admit one message above the limit when there is no other', () => {
      const bench = new Bench(undefined, { messages: 100, bytes: 10 })
      const handle = bench.writer.introduce('peer-a')
      expect(bench.writer.hasRoom(2, 11)).toBe(false)
      expect(bench.writer.hasRoom(1, 11)).toBe(true)
      bench.writer.data(handle, runOf([pattern(11)]))
      expect(bench.writer.hasRoom(1, 0)).toBe(false)
      bench.source.take()
      bench.writer.data(handle, runOf([pattern(0)]))
      expect(bench.writer.hasRoom(1, 11)).toBe(false)
    })

    it('are not used up by control events and Status', () => {
      const bench = new Bench(undefined, { messages: 1, bytes: 1 })
      for (let i = 0; i < 10; i++) {
        bench.sender.sendMsg('peer-a', pattern(1))
        bench.writer.control({ type: 'Disconnected', peerId: 'peer-a', code: 'lost', reason: '' })
      }
      bench.writer.status(bench.ledgers.find('peer-a')!.handle, undefined, 10)
      expect(bench.writer.hasRoom(1, 1)).toBe(true)
      expect(bench.writer.unreadControl).toBe(10)
      bench.drainEvents()
      expect(bench.writer.unreadControl).toBe(0)
      expect(bench.writer.unreadMessages).toBe(0)
    })

    it('remain right when their counters wrap around', () => {
      const LIMIT = 2 ** 30
      const bench = new Bench(undefined, { messages: LIMIT, bytes: LIMIT })
      const handle = bench.writer.introduce('peer-a')
      for (let i = 0; i < 9; i++) {
        expect(bench.writer.hasRoom(LIMIT, LIMIT)).toBe(true)
        // A run that says it is huge: only the counters matter here.
        bench.writer.data(handle, { parts: [], wireBytes: 0, count: LIMIT, payloadBytes: LIMIT })
        expect(bench.writer.unreadMessages).toBe(LIMIT)
        expect(bench.writer.hasRoom(1, 0)).toBe(false)
        expect(bench.writer.hasRoom(0, 1)).toBe(false)
        Atomics.add(bench.control, Word.messagesRead, LIMIT - 5)
        Atomics.add(bench.control, Word.bytesRead, LIMIT - 7)
        expect(bench.writer.unreadMessages).toBe(5)
        expect(bench.writer.unreadBytes).toBe(7)
        expect(bench.writer.hasRoom(LIMIT - 5, LIMIT - 7)).toBe(true)
        expect(bench.writer.hasRoom(LIMIT - 4, 0)).toBe(false)
        expect(bench.writer.hasRoom(0, LIMIT - 6)).toBe(false)
        Atomics.add(bench.control, Word.messagesRead, 5)
        Atomics.add(bench.control, Word.bytesRead, 7)
      }
    })
  })
})
