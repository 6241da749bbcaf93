import { describe, expect, it } from 'vitest'
import { race } from '../../../src/runtime/race.ts'
import { FakeClock } from '../protocol/support.ts'

const later = async (): Promise<void> => new Promise(resolve => setImmediate(resolve))

/** A race in which the test says what comes of each attempt. */
class World {
  readonly clock = new FakeClock()
  readonly controller = new AbortController()
  /** What happened, in order. */
  readonly log: string[] = []
  readonly attempts = new Map<string, { answer: (connection: string) => void; fail: () => void }>()
  readonly addresses: string[]
  readonly result: Promise<unknown>

  constructor(addresses: string[]) {
    this.addresses = addresses
    this.result = race<string, string>({
      clock: this.clock,
      signal: this.controller.signal,
      next: () => addresses.shift(),
      connect: async (address, signal) =>
        new Promise((resolve, reject) => {
          this.log.push(`${this.clock.now()} begin ${address}`)
          this.attempts.set(address, {
            answer: resolve,
            fail: () => reject(new Error(`${address} refuses`))
          })
          signal.addEventListener('abort', () => {
            this.log.push(`${this.clock.now()} cancel ${address}`)
            if (address !== 'stubborn') reject(signal.reason as Error)
          })
        }),
      failed: (address, err) => this.log.push(`${this.clock.now()} ${address}: ${(err as Error).message}`),
      discard: connection => this.log.push(`discard ${connection}`)
    })
    this.result.catch(() => {})
  }

  async pass(ms: number): Promise<void> {
    this.clock.advance(ms)
    await later()
  }
}

describe('a race for a connection', () => {
  it('begins an attempt every 250 ms, and cancels all when one is connected', async () => {
    const world = new World(['a', 'b', 'c', 'd'])
    await world.pass(249)
    expect(world.log).toEqual(['0 begin a'])
    await world.pass(351)
    expect(world.log).toEqual(['0 begin a', '250 begin b', '500 begin c'])
    world.attempts.get('b')!.answer('connection to b')
    expect(await world.result).toEqual({
      address: 'b',
      connection: 'connection to b',
      cancelled: ['a', 'c']
    })
    await world.pass(1_000)
    expect(world.log.slice(3)).toEqual(['600 cancel a', '600 cancel c'])
    expect(world.addresses).toEqual(['d'])
    expect(world.clock.armed).toBe(0)
  })

  it('begins the next attempt at once when one has failed, and is then alone for 250 ms again', async () => {
    const world = new World(['a', 'b', 'c'])
    await world.pass(100)
    world.attempts.get('a')!.fail()
    await later()
    await world.pass(249)
    expect(world.log).toEqual(['0 begin a', '100 a: a refuses', '100 begin b'])
    await world.pass(1)
    expect(world.log.at(-1)).toBe('350 begin c')
  })

  it('is over when every attempt has failed', async () => {
    const world = new World(['a', 'b'])
    await world.pass(250)
    world.attempts.get('a')!.fail()
    await later()
    world.attempts.get('b')!.fail()
    expect(await world.result).toBeUndefined()
    expect(world.clock.armed).toBe(0)
  })

  it('takes in an address that becomes known while others are tried', async () => {
    const world = new World(['a'])
    await world.pass(300)
    world.addresses.push('late')
    await world.pass(200)
    expect(world.log).toEqual(['0 begin a', '500 begin late'])
  })

  it('discards what connects although it was cancelled', async () => {
    const world = new World(['stubborn', 'b'])
    await world.pass(250)
    world.attempts.get('b')!.answer('connection to b')
    await world.result
    world.attempts.get('stubborn')!.answer('a second connection')
    await later()
    expect(world.log.at(-1)).toBe('discard a second connection')
  })

  it('ends with the reason of its signal, and takes every attempt with it', async () => {
    const world = new World(['a', 'b', 'c'])
    await world.pass(250)
    world.controller.abort(new Error('stopping'))
    await expect(world.result).rejects.toThrow('stopping')
    await world.pass(1_000)
    expect(world.log).toEqual(['0 begin a', '250 begin b', '250 cancel a', '250 cancel b'])
    expect(world.clock.armed).toBe(0)
  })

  it('does not begin when it was ended before', async () => {
    const world = new World([])
    expect(await world.result).toBeUndefined()
    await expect(
      race({
        clock: world.clock,
        signal: AbortSignal.abort(new Error('stopping')),
        next: () => 'a',
        connect: async () => 'connection',
        failed: () => {},
        discard: () => {}
      })
    ).rejects.toThrow('stopping')
  })
})
