import { describe, expect, it } from 'vitest'
import { ReceiverChannel } from '../../../src/application/receiver.ts'
import { RuntimeState, Word } from '../../../src/bridge/control-block.ts'
import { Counters, createDroppedMemory } from '../../../src/bridge/dropped-counters.ts'
import type { Count } from '../../../src/bridge/dropped-counters.ts'
import type { P2pEvent, PriorityEvent } from '../../../src/bridge/types.ts'
import { RECEIVER, signalTo } from '../../../src/runtime/signal.ts'
import { exhaust, interleave, sample } from './interleave.ts'
import type { Half, Schedule } from './interleave.ts'
import { Bench, droppedPair, pattern, queuePair, Received, runOf, seed } from './support.ts'

/**
 * Bytes of the first and of a full segment, far fewer than in life; each record takes 16 bytes beside its payload, and so
 * does the header.
 */
const FIRST = 128
const SEGMENT = 512

const SAMPLES = 200

/** Makes each of these calls, one a step. */
function steps(calls: Array<() => void>): Half {
  let at = 0
  return () => {
    if (at === calls.length) return false
    calls[at++]!()
    return true
  }
}

/** Tries all schedules with so many switches, some hundred to some thousand, and others by chance with more. */
function everyWay(switches: number, scene: (schedule: Schedule) => void): void {
  exhaust(choose => scene({ choose, switches }))
  sample(SAMPLES, seed, choose => scene({ choose, switches: Infinity }))
}

describe('a queue between two threads', () => {
  /** Messages of these sizes cross; each stays as it is until the second look after it. */
  function cross(schedule: Schedule, sizes: number[]): void {
    const { writer, reader } = queuePair(true, [FIRST, SEGMENT])
    const write = sizes.flatMap((size, i) => [
      () => {
        writer.reserve(size)
        writer.bytes.fill(i + 1, writer.at, writer.at + Math.min(size, 4))
        writer.bytes.fill(i + 1, writer.at + size - Math.min(size, 4), writer.at + size)
      },
      () => writer.commit(1, i, size, i + 7, i + 9)
    ])
    let read = 0
    let before: { bytes: Uint8Array; begin: number; end: number } | undefined
    interleave(schedule, [
      steps(write),
      () => {
        if (!reader.next()) {
          before = undefined
          return false
        }
        const { bytes, begin, end } = reader
        expect([reader.kind, reader.handle, reader.a, reader.b]).toEqual([1, read, read + 7, read + 9])
        expect(end - begin).toBe(sizes[read])
        assertMarks(bytes, begin, end, read + 1)
        if (before !== undefined) assertMarks(before.bytes, before.begin, before.end, read)
        before = { bytes, begin, end }
        read++
        return true
      }
    ])
    expect(read).toBe(sizes.length)
  }

  function assertMarks(bytes: Uint8Array, begin: number, end: number, mark: number): void {
    if (end > begin && (bytes[begin] !== mark || bytes[end - 1] !== mark)) throw new Error(`record ${mark}`)
  }

  it.each([
    ['beside each other', [3, 0, 5]],
    ['each in a segment of its own', [80, 200, 400]],
    ['to the last byte of the segment', [FIRST - 32, 0, 1]],
    ['in segments that are used again', [SEGMENT - 32, SEGMENT - 32, SEGMENT - 32, SEGMENT - 32]]
  ])('loses, doubles and damages no record, whenever they are stopped: %s', (_, sizes) => {
    everyWay(2, schedule => cross(schedule, sizes))
  })

  it.each([0, 1, 2, 3, 4])('nor one that ends %i bytes before the end of its segment', distance => {
    everyWay(2, schedule => cross(schedule, [10, FIRST - 48 - 10 - distance, 0, 2, 1]))
  })

  it('nor among many, of all sizes', () => {
    sample(SAMPLES, seed, (choose, random) => {
      const size = (): number => [random(4), random(100), SEGMENT - 32 - random(5), 2 * SEGMENT][random(4)]!
      const sizes = Array.from({ length: 12 }, size)
      cross({ choose, switches: Infinity }, sizes)
    })
  })
})

describe('the sender channel', () => {
  it('hands over every command once and in order, and each is rung for until it is looked for', () => {
    everyWay(2, schedule => {
      const bench = new Bench(undefined, undefined, [FIRST, SEGMENT])
      const received = new Received()
      const { sender } = bench
      let served = 0
      let more = false
      interleave(schedule, [
        steps([
          () => sender.sendMsg('peer-a', pattern(3)),
          () => sender.sendMsg('peer-b', pattern(100)),
          () => sender.sendMsg('peer-b', pattern(100)),
          () => sender.disconnectFrom('peer-a')
        ]),
        () => {
          // The runtime looks when a doorbell has come, and when it has left something.
          if (!more && served === bench.rings) return false
          if (!more) served++
          more = bench.reader.drain(received)
          return true
        }
      ])
      expect(received.log).toEqual([
        'send peer-a 3',
        'send peer-b 100',
        'send peer-b 100',
        '{"type":"DisconnectFrom","id":4,"peerId":"peer-a"}'
      ])
    })
  })
})

describe('the receiver channel', () => {
  const LIMIT = 2

  /** A bench whose application reads, and what the runtime says in this test. */
  function scene(ring: () => void): { bench: Bench; channel: ReceiverChannel<P2pEvent>; runtime: Half } {
    const bench = new Bench(undefined, { messages: LIMIT, bytes: 1_000 }, [FIRST, SEGMENT])
    const { control, writer } = bench
    const signal = (): void => signalTo(control, RECEIVER, ring)
    bench.onSignal = signal
    const channel = new ReceiverChannel<P2pEvent>({
      control,
      source: bench.source,
      ...RECEIVER,
      assertAlive: () => {},
      waiting: () => {}
    })
    bench.sender.sendMsg('peer-s', pattern(1))
    const { handle } = bench.ledgers.find('peer-s')!
    let peer = writer.introduce('peer-a')
    const message = (salt: number) => (): void => writer.data(peer, runOf([pattern(100, salt)]))
    const calls = [
      message(1),
      () => writer.flush(),
      message(2),
      () => {
        writer.retire(peer)
        expect(writer.introduce('peer-b')).toBe(peer)
      },
      message(3),
      () => writer.control({ type: 'Disconnected', peerId: 'peer-a', code: 'lost', reason: '' }),
      () => writer.status(handle, undefined, 1),
      () => writer.flush(),
      () => {
        Atomics.store(control, Word.state, RuntimeState.stopped)
        signal()
      }
    ]
    const say = steps(calls)
    let said = 0
    const runtime = (): boolean => {
      if (writer.unreadMessages < 0 || writer.unreadMessages > LIMIT) throw new Error('credits are wrong')
      // Once the application has been told of the first message it must come by itself: nothing else wakes it.
      if (said === 2 && writer.unreadMessages > 0) return false
      // Messages wait for room; the last publication is flushed at the end of a turn, also of one that ends in waiting.
      if (said === 4 && !writer.hasRoom(1, 100)) {
        writer.flush()
        return false
      }
      said++
      return say()
    }
    return { bench, channel, runtime }
  }

  const TOLD = [
    { type: 'Data', peerId: 'peer-a', data: pattern(100, 1) },
    { type: 'Data', peerId: 'peer-a', data: pattern(100, 2) },
    { type: 'Data', peerId: 'peer-b', data: pattern(100, 3) },
    { type: 'Disconnected', peerId: 'peer-a', code: 'lost', reason: '' },
    { type: 'Status', peerId: 'peer-s', id: 1, ok: true }
  ]

  it('wakes a caller that blocks, for every event once and in order, and for the end behind them', () => {
    everyWay(1, schedule => {
      const { channel, runtime } = scene(() => {})
      const events: Array<P2pEvent | undefined> = []
      interleave(schedule, [
        runtime,
        () => {
          if (events.at(-1) === undefined && events.length > 0) return false
          events.push(channel.recv())
          return true
        }
      ])
      if (events.length !== TOLD.length + 1) throw new Error(`${events.length} events`)
      expect(events).toEqual([...TOLD, undefined])
    })
  })

  it('rings for a caller that awaits, for every event once and in order, and for the end behind them', async () => {
    const told: Array<Array<P2pEvent | undefined | 'pending'>> = []
    everyWay(1, schedule => {
      let bells = 0
      const { channel, runtime } = scene(() => bells++)
      const events: Array<P2pEvent | undefined | 'pending'> = []
      told.push(events)
      interleave(schedule, [
        runtime,
        () => {
          if (bells > 0) {
            bells--
            channel.pump()
            return true
          }
          if (events.length === TOLD.length + 1) return false
          const at = events.push('pending') - 1
          void channel.recvAsync().then(event => (events[at] = event))
          return true
        }
      ])
    })
    await new Promise(resolve => setImmediate(resolve))
    const whole = JSON.stringify([...TOLD, undefined])
    expect(told.map(events => JSON.stringify(events)).filter(events => events !== whole)).toEqual([])
  })
})

describe('the counters of what was dropped', () => {
  it('lose and double nothing, and wake the one that waits for the other', () => {
    everyWay(2, schedule => {
      const memory = createDroppedMemory(8)
      const [runtime, application] = [new Counters(memory), new Counters(memory)]
      const counts: Count[] = []
      let announced = 0
      const add = (messages: number) => (): void => {
        if (runtime.add(5, { messages, bytes: 10 * messages })) announced++
      }
      let [left, taken] = [[add(1), add(2), add(4)], 0]
      interleave(schedule, [
        () => {
          // A step that would block is made again.
          if (left.length === 0) return false
          left[0]!()
          left = left.slice(1)
          return true
        },
        () => {
          if (taken === announced) return false
          counts.push(application.take(5))
          taken++
          return true
        }
      ])
      const sum = (key: keyof Count): number => counts.reduce((total, count) => total + count[key], 0)
      expect([sum('messages'), sum('bytes')]).toEqual([7, 70])
      expect(application.isUnread(5)).toBe(false)
    })
  })
})

describe('the priority channel', () => {
  it('tells every refused message once', () => {
    everyWay(2, schedule => {
      const { writer, source, memory } = droppedPair(2, [FIRST, SEGMENT])
      const events: PriorityEvent[] = []
      const drop = (peerId: string, messages: number) => (): void =>
        writer.add(peerId, { messages, bytes: 10 * messages })
      interleave({ ...schedule, whole: memory }, [
        steps([drop('peer-a', 1), drop('peer-b', 2), drop('peer-a', 4), drop('peer-a', 8)]),
        () => {
          const event = source.take()
          if (event !== undefined) events.push(event)
          return event !== undefined
        }
      ])
      const sum = (peerId: string): number =>
        events.filter(event => event.peerId === peerId).reduce((total, { messages }) => total + messages, 0)
      expect([sum('peer-a'), sum('peer-b')]).toEqual([13, 2])
      expect(source.length).toBe(0)
    })
  })
})
