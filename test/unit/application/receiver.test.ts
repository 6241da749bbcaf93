import { getEventListeners } from 'node:events'
import { describe, expect, it } from 'vitest'
import { ReceiverChannel } from '../../../src/application/receiver.ts'
import { RuntimeState, Word } from '../../../src/bridge/control-block.ts'
import type { ControlBlock } from '../../../src/bridge/control-block.ts'
import { P2pError } from '../../../src/errors.ts'
import { running } from '../bridge/support.ts'

/** A channel of numbers, its source, and the thread it lives on. */
class Scene {
  readonly control: ControlBlock = running()
  readonly buffer: number[] = []
  readonly channel: ReceiverChannel<number>
  /** How many callers await it. */
  awaited = 0
  checks = 0
  onCheck = (): void => {}

  constructor() {
    this.channel = new ReceiverChannel<number>({
      control: this.control,
      source: sourceOf(this.buffer),
      signal: Word.receiverSignal,
      armed: Word.receiverArmed,
      assertAlive: () => {
        this.checks++
        this.onCheck()
      },
      waiting: change => (this.awaited += change)
    })
  }

  /** Events arrive as the runtime publishes them; the doorbell rings only when it was asked for. */
  publish(...events: number[]): boolean {
    this.buffer.push(...events)
    return this.signal()
  }

  end(): boolean {
    Atomics.store(this.control, Word.state, RuntimeState.stopped)
    return this.signal()
  }

  signal(): boolean {
    Atomics.add(this.control, Word.receiverSignal, 1)
    Atomics.notify(this.control, Word.receiverSignal)
    const rings = Atomics.exchange(this.control, Word.receiverArmed, 0) === 1
    if (rings) this.channel.pump()
    return rings
  }
}

function sourceOf(buffer: number[]): { take: () => number | undefined; readonly length: number } {
  return {
    take: () => buffer.shift(),
    get length() {
      return buffer.length
    }
  }
}

/** What a promise has come to after this turn of the event loop. */
async function stateOf<T>(promise: Promise<T>): Promise<T | 'pending'> {
  return Promise.race([promise, new Promise<'pending'>(resolve => setImmediate(() => resolve('pending')))])
}

describe('receiver', () => {
  describe('tryRecv', () => {
    it('takes what is there, in order, and never waits', () => {
      const { channel, buffer } = new Scene()
      buffer.push(1, 2)
      expect([channel.tryRecv(), channel.tryRecv(), channel.tryRecv()]).toEqual([1, 2, undefined])
    })

    it('looks whether the runtime is alive when there is nothing, and only then', () => {
      const scene = new Scene()
      scene.buffer.push(1)
      scene.channel.tryRecv()
      expect(scene.checks).toBe(0)
      scene.channel.tryRecv()
      expect(scene.checks).toBe(1)
    })

    it('reads on when the runtime has ended', () => {
      const scene = new Scene()
      scene.publish(1)
      expect(scene.channel.closed).toBe(false)
      scene.end()
      expect(scene.channel.closed).toBe(true)
      expect(scene.channel.tryRecv()).toBe(1)
      expect(scene.channel.tryRecv()).toBeUndefined()
    })
  })

  describe('recv', () => {
    it('takes what is there without waiting', () => {
      const { channel, buffer } = new Scene()
      buffer.push(1, 2)
      expect(channel.recv()).toBe(1)
      expect(channel.recv(0)).toBe(2)
    })

    it('gives up when the time is over, at once for 0', () => {
      const { channel } = new Scene()
      expect(channel.recv(0)).toBeUndefined()
      const begin = performance.now()
      expect(channel.recv(30)).toBeUndefined()
      expect(performance.now() - begin).toBeGreaterThanOrEqual(29)
    })

    it('returns at once when the channel is closed and empty, whatever the timeout', () => {
      const scene = new Scene()
      scene.publish(1)
      scene.end()
      expect(scene.channel.recv()).toBe(1)
      expect(scene.channel.recv()).toBeUndefined()
      expect(scene.channel.recv(60_000)).toBeUndefined()
    })

    it('takes what comes between its look and its wait', () => {
      const scene = new Scene()
      // The signal is bumped after the channel was found empty: a wait for the old value must not begin.
      scene.onCheck = () => void scene.publish(7)
      expect(scene.channel.recv()).toBe(7)
    })

    it('takes what comes in the middle of its look', () => {
      const control = running()
      const found: Array<number | undefined> = [undefined, 7]
      const channel = new ReceiverChannel<number>({
        control,
        source: {
          take: () => {
            Atomics.add(control, Word.receiverSignal, 1)
            return found.shift()
          },
          length: 0
        },
        signal: Word.receiverSignal,
        armed: Word.receiverArmed,
        assertAlive: () => {},
        waiting: () => {}
      })
      const begin = performance.now()
      expect(channel.recv()).toBe(7)
      // A wait that has missed its signal looks again after a second.
      expect(performance.now() - begin).toBeLessThan(900)
    })

    it('notices an end between its look and its wait', () => {
      const scene = new Scene()
      scene.onCheck = () => void scene.end()
      expect(scene.channel.recv()).toBeUndefined()
    })

    it.each([-1, Number.NaN, -Infinity, '5', null, {}, 5n])('refuses a timeout of %o', timeout => {
      const { channel } = new Scene()
      expect(() => channel.recv(timeout as unknown as number)).toThrow(P2pError)
      expect(() => channel.recv(timeout as unknown as number)).toThrow('timeoutMs is')
    })
  })

  describe('drain', () => {
    it('takes all that is there, or as many as asked for', () => {
      const { channel, buffer } = new Scene()
      buffer.push(1, 2, 3, 4, 5)
      expect(channel.drain(0)).toEqual([])
      expect(channel.drain(2)).toEqual([1, 2])
      expect(channel.drain(Infinity)).toEqual([3, 4, 5])
      expect(channel.drain()).toEqual([])
    })

    it('returns although events come as fast as it takes them', () => {
      const buffer = [1, 2, 3]
      const channel = new ReceiverChannel<number>({
        control: running(),
        source: {
          take: () => {
            buffer.push(0)
            return buffer.shift()
          },
          get length() {
            return buffer.length
          }
        },
        signal: Word.receiverSignal,
        armed: Word.receiverArmed,
        assertAlive: () => {},
        waiting: () => {}
      })
      expect(channel.drain()).toEqual([1, 2, 3])
    })

    it.each([-1, 1.5, Number.NaN, -Infinity, '5', null, {}, 5n])('refuses a maximum of %o', max => {
      const { channel, buffer } = new Scene()
      buffer.push(1)
      expect(() => channel.drain(max as unknown as number)).toThrow(P2pError)
      expect(() => channel.drain(max as unknown as number)).toThrow('max is')
      expect(channel.length).toBe(1)
    })
  })

  describe('recvAsync', () => {
    it('takes what is there without asking for a doorbell', async () => {
      const scene = new Scene()
      scene.buffer.push(1)
      expect(await scene.channel.recvAsync()).toBe(1)
      expect(Atomics.load(scene.control, Word.receiverArmed)).toBe(0)
      expect(scene.awaited).toBe(0)
    })

    it('waits for the doorbell, and keeps the process alive meanwhile', async () => {
      const scene = new Scene()
      const event = scene.channel.recvAsync()
      expect(await stateOf(event)).toBe('pending')
      expect(scene.awaited).toBe(1)
      expect(scene.publish(1)).toBe(true)
      expect(await event).toBe(1)
      expect(scene.awaited).toBe(0)
    })

    it('serves callers in the order in which they called', async () => {
      const scene = new Scene()
      const events = [scene.channel.recvAsync(), scene.channel.recvAsync(), scene.channel.recvAsync()]
      scene.publish(1)
      expect(await stateOf(events[1]!)).toBe('pending')
      expect(scene.publish(2, 3, 4)).toBe(true)
      expect(await Promise.all(events)).toEqual([1, 2, 3])
      expect(scene.channel.tryRecv()).toBe(4)
      expect(Atomics.load(scene.control, Word.receiverArmed)).toBe(0)
    })

    it('does not let a later caller overtake one that waits', async () => {
      const scene = new Scene()
      const first = scene.channel.recvAsync()
      scene.buffer.push(1, 2)
      const second = scene.channel.recvAsync()
      expect(await Promise.all([first, second])).toEqual([1, 2])
    })

    it('asks for the doorbell before it looks: an event in between is not left lying', async () => {
      const control = running()
      const buffer: number[] = []
      let looks = 0
      let rings = 0
      const channel: ReceiverChannel<number> = new ReceiverChannel<number>({
        control,
        source: {
          take: () => {
            const event = buffer.shift()
            // An event is published right after each look that found nothing.
            if (event === undefined && ++looks === 2) {
              buffer.push(9)
              if (Atomics.exchange(control, Word.receiverArmed, 0) === 1) rings++
            }
            return event
          },
          length: 0
        },
        signal: Word.receiverSignal,
        armed: Word.receiverArmed,
        assertAlive: () => {},
        waiting: () => {}
      })
      const event = channel.recvAsync()
      expect(rings).toBe(1)
      channel.pump()
      expect(await event).toBe(9)
    })

    it('still wakes when somebody else took the event of the doorbell', async () => {
      const scene = new Scene()
      const event = scene.channel.recvAsync()
      scene.buffer.push(1)
      expect(scene.channel.tryRecv()).toBe(1)
      expect(scene.signal()).toBe(true)
      expect(await stateOf(event)).toBe('pending')
      expect(scene.publish(2)).toBe(true)
      expect(await event).toBe(2)
    })

    it('ends with undefined for all when the channel is closed and empty', async () => {
      const scene = new Scene()
      const events = [scene.channel.recvAsync(), scene.channel.recvAsync(), scene.channel.recvAsync()]
      scene.buffer.push(1)
      scene.end()
      expect(await Promise.all(events)).toEqual([1, undefined, undefined])
      expect(scene.awaited).toBe(0)
      expect(await scene.channel.recvAsync()).toBeUndefined()
    })

    it('rejects with the reason of a signal that aborts, and takes nothing then', async () => {
      const scene = new Scene()
      const abort = new AbortController()
      const event = scene.channel.recvAsync({ signal: abort.signal })
      const other = scene.channel.recvAsync()
      const reason = new Error('enough')
      abort.abort(reason)
      await expect(event).rejects.toBe(reason)
      expect(scene.awaited).toBe(1)
      scene.publish(1)
      expect(await other).toBe(1)
    })

    it('rejects at once with a signal that has aborted, and leaves the event', async () => {
      const scene = new Scene()
      scene.buffer.push(1)
      await expect(
        scene.channel.recvAsync({ signal: AbortSignal.abort(new Error('before')) })
      ).rejects.toThrow('before')
      expect(scene.channel.length).toBe(1)
    })

    it.each([null, 5, 'soon', { signal: null }, { signal: 'soon' }, { signal: {} }])(
      'refuses %o as options',
      async options => {
        const scene = new Scene()
        scene.buffer.push(1)
        const failed = scene.channel.recvAsync(options as unknown as { signal: AbortSignal })
        await expect(failed).rejects.toMatchObject({ name: 'P2pError', code: 'ERR_INVALID_OPTION' })
        expect(scene.channel.length).toBe(1)
        expect(scene.awaited).toBe(0)
      }
    )

    it('lets go of the signal when it has an event', async () => {
      const scene = new Scene()
      const abort = new AbortController()
      const event = scene.channel.recvAsync({ signal: abort.signal })
      scene.publish(1)
      expect(getEventListeners(abort.signal, 'abort')).toEqual([])
      abort.abort()
      expect(await event).toBe(1)
      expect(scene.awaited).toBe(0)
    })
  })

  describe('a run of events that are there already', () => {
    const readings: Record<string, (channel: ReceiverChannel<number>) => Promise<void>> = {
      'for await': async channel => {
        for await (const event of channel) if (event === 0) return
      },
      recvAsync: async channel => {
        while ((await channel.recvAsync()) !== 0);
      },
      'recvAsync by two at once': async channel => {
        const read = async (): Promise<void> => {
          while ((await channel.recvAsync()) !== 0);
        }
        await Promise.all([read(), read()])
      }
    }

    it.each(Object.keys(readings))('leaves the event loop its turns: %s', { timeout: 60_000 }, async name => {
      // An endless flood, until a timer has fired; nothing else ends it but so many events, which are a defeat.
      let left = 3_000_000
      let fired = false
      const channel = new ReceiverChannel<number>({
        control: running(),
        source: { take: () => (fired || --left < 0 ? 0 : 1), length: 1 },
        signal: Word.receiverSignal,
        armed: Word.receiverArmed,
        assertAlive: () => {},
        waiting: () => {}
      })
      setTimeout(() => (fired = true), 10)
      await readings[name]!(channel)
      expect(fired).toBe(true)
    })

    it('is handed out in order, to each caller in the order of their calls, across turns', async () => {
      const scene = new Scene()
      const count = 2_000
      scene.publish(...Array.from({ length: count }, (_, i) => i))
      const calls: Array<Promise<number | undefined>> = []
      let turns = 0
      for (let i = 0; i < count; i++) {
        calls.push(scene.channel.recvAsync())
        if (i % 100 > 0) continue
        // Long enough for a turn to be due, and every other time there is one.
        Atomics.wait(scene.control, Word.receiverSignal, Atomics.load(scene.control, Word.receiverSignal), 6)
        if (++turns % 2 === 0) await new Promise(resolve => setImmediate(resolve))
      }
      expect(await Promise.all(calls)).toEqual(Array.from({ length: count }, (_, i) => i))
      expect(scene.awaited).toBe(0)
    })

    it('can be given up while a turn is due', async () => {
      const scene = new Scene()
      scene.publish(1, 2)
      await scene.channel.recvAsync()
      Atomics.wait(scene.control, Word.receiverSignal, Atomics.load(scene.control, Word.receiverSignal), 6)
      const abort = new AbortController()
      const given = scene.channel.recvAsync({ signal: abort.signal })
      abort.abort(new Error('given up'))
      await expect(given).rejects.toThrow('given up')
      expect(await scene.channel.recvAsync()).toBe(2)
    })
  })

  describe('for await', () => {
    it('gives every event and ends when the channel is closed and empty', async () => {
      const scene = new Scene()
      const seen: number[] = []
      const done = (async () => {
        for await (const event of scene.channel) seen.push(event)
      })()
      scene.publish(1, 2)
      await new Promise(resolve => setImmediate(resolve))
      scene.publish(3)
      scene.buffer.push(4)
      scene.end()
      await done
      expect(seen).toEqual([1, 2, 3, 4])
    })

    it('leaves what follows a break to others', async () => {
      const scene = new Scene()
      scene.buffer.push(1, 2, 3)
      for await (const event of scene.channel) if (event === 2) break
      expect(scene.channel.drain()).toEqual([3])
    })

    it('shares one buffer with every other way of reading', async () => {
      const scene = new Scene()
      scene.buffer.push(1, 2, 3, 4, 5, 6)
      const loop = scene.channel[Symbol.asyncIterator]()
      const seen = [
        scene.channel.tryRecv(),
        scene.channel.recv(0),
        await scene.channel.recvAsync(),
        (await loop.next()).value,
        ...scene.channel.drain(1),
        scene.channel.recv()
      ]
      expect(seen).toEqual([1, 2, 3, 4, 5, 6])
      expect(scene.channel.length).toBe(0)
    })
  })
})
