import { describe, expect, it } from 'vitest'
import { PROTOCOL_ID } from '../../../src/framing/index.ts'
import type { Denial } from '../../../src/gater/index.ts'
import { NameError } from '../../../src/names/index.ts'
import type { Names } from '../../../src/names/index.ts'
import type { Link } from '../../../src/libp2p/link.ts'
import type { Node } from '../../../src/libp2p/node.ts'
import type { Opened } from '../../../src/libp2p/outgoing.ts'
import { Places } from '../../../src/places.ts'
import { dialPeer } from '../../../src/runtime/dial-attempt.ts'
import type { DialError, Dialled, DialTarget } from '../../../src/runtime/dial-attempt.ts'
import { FakeClock } from '../protocol/support.ts'

const TIMEOUT_MS = 10_000

const later = async (): Promise<void> => new Promise(resolve => setImmediate(resolve))

/** A promise that its signal ends, and the test settles. */
class Task<T> {
  readonly promise: Promise<T>
  settle: (value: T) => void = () => {}
  fail: (err: Error) => void = () => {}

  constructor(signal: AbortSignal) {
    this.promise = new Promise((resolve, reject) => {
      this.settle = resolve
      this.fail = reject
      signal.addEventListener('abort', () => reject(signal.reason as Error))
    })
    this.promise.catch(() => {})
  }
}

/** A network in which the test says what comes of every look-up, connection and handshake. */
class World {
  readonly clock = new FakeClock()
  readonly controller = new AbortController()
  readonly places = new Places(1)
  /** What was begun, in order. */
  readonly log: string[] = []
  readonly lookUps = new Map<string, Task<string[]>>()
  readonly sockets = new Map<string, Task<Opened>>()
  readonly handshakes = new Map<string, Task<Link>>()
  forbidden: string[] = []
  denial: Denial | undefined

  dial(addresses: string[], timeoutMs = TIMEOUT_MS): Promise<Dialled> {
    const target: DialTarget = { peerId: 'peer', addresses, timeoutMs, signal: this.controller.signal }
    const dialled = dialPeer(
      {
        clock: this.clock,
        places: this.places,
        names: {
          resolve: async (host: string, family: number, signal: AbortSignal) =>
            this.#begin(`look up ${host}/${family}`, host, this.lookUps, signal)
        } as unknown as Names,
        node: {
          open: async (address, _, signal) =>
            this.#begin(`open ${ipOf(address)}`, ipOf(address), this.sockets, signal),
          dial: async (opened, signal) => {
            const ip = opened as unknown as string
            return this.#begin(`shake hands with ${ip}`, ip, this.handshakes, signal)
          }
        } as Node,
        forbids: ip => (this.forbidden.includes(ip) ? `not at ${ip}` : undefined),
        takeDenial: () => {
          const { denial } = this
          this.denial = undefined
          return denial
        }
      },
      target
    )
    dialled.catch(() => {})
    return dialled
  }

  async #begin<T>(what: string, key: string, tasks: Map<string, Task<T>>, signal: AbortSignal): Promise<T> {
    this.log.push(what)
    const task = new Task<T>(signal)
    tasks.set(key, task)
    return task.promise
  }

  async connect(ip: string): Promise<void> {
    await later()
    this.sockets.get(ip)!.settle(ip as unknown as Opened)
    await later()
  }

  async refuse(ip: string, code = 'ECONNREFUSED'): Promise<void> {
    await later()
    this.sockets.get(ip)!.fail(Object.assign(new Error(code), { code }))
    await later()
  }

  async admit(ip: string): Promise<void> {
    const openStream = async (): Promise<string> => `stream to ${ip}`
    this.handshakes.get(ip)!.settle({ open: true, openStream } as unknown as Link)
    await later()
  }

  /** The handshake is complete, and the peer answers the first stream with this error. */
  async turnAway(ip: string, error: Error, open = true): Promise<void> {
    const link = {
      open,
      openStream: async (signal: AbortSignal) => {
        this.log.push(`open stream to ${ip}`)
        if (error !== UNANSWERED) throw error
        return new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason as Error))
        })
      },
      abort: ({ code, reason }: { code: string; reason: string }) => this.log.push(`end ${code}: ${reason}`)
    }
    this.handshakes.get(ip)!.settle(link as unknown as Link)
    await later()
  }

  async breakOff(ip: string, message = 'not multistream-select'): Promise<void> {
    this.handshakes.get(ip)!.fail(new Error(message))
    await later()
  }

  async tell(host: string, ips: string[]): Promise<void> {
    this.lookUps.get(host)!.settle(ips)
    await later()
  }

  async pass(ms: number): Promise<void> {
    await later()
    this.clock.advance(ms)
    await later()
  }
}

/** The peer neither admits nor turns away. */
const UNANSWERED = new Error('no answer')

function ipOf(address: string): string {
  return address.split('/')[2]!
}

async function errorOf(dialled: Promise<Dialled>): Promise<DialError> {
  return dialled.then(
    () => Promise.reject(new Error('it succeeded')),
    (err: DialError) => err
  )
}

const A = '/ip4/10.0.0.1/tcp/4001'
const B = '/ip4/10.0.0.2/tcp/4001'
const C = '/ip6/2001:db8::3/tcp/4001'

describe('a dial', () => {
  it('shakes hands where a connection is made first, and with one address at a time', async () => {
    const world = new World()
    const dialled = world.dial([A, B, C])
    await world.pass(250)
    await world.connect('10.0.0.2')
    await world.breakOff('10.0.0.2')
    // A was cancelled, not tried to its end: it is tried again, before C, which was not tried.
    await world.connect('10.0.0.1')
    await world.admit('10.0.0.1')
    expect(await dialled).toMatchObject({ stream: 'stream to 10.0.0.1' })
    expect(world.log).toEqual([
      'open 10.0.0.1',
      'open 10.0.0.2',
      'shake hands with 10.0.0.2',
      'open 10.0.0.1',
      'shake hands with 10.0.0.1'
    ])
    expect(world.clock.armed).toBe(0)
    expect(world.places.taken).toBe(0)
  })

  it('opens no socket where the allow list does not have the peer', async () => {
    const world = new World()
    world.forbidden = ['10.0.0.1', '2001:db8::9']
    const dialled = world.dial([A, '/dns/host/tcp/4001'])
    await world.tell('host', ['2001:db8::9', '10.0.0.9'])
    await world.connect('10.0.0.9')
    await world.admit('10.0.0.9')
    await dialled
    expect(world.log).toEqual(['look up host/0', 'open 10.0.0.9', 'shake hands with 10.0.0.9'])
  })

  it('asks the allow list again before it opens a socket', async () => {
    const world = new World()
    const dialled = world.dial([A, B])
    world.forbidden = ['10.0.0.2']
    await world.refuse('10.0.0.1')
    expect(await errorOf(dialled)).toMatchObject({ code: 'ERR_DIAL_FAILED', why: 'refused' })
    expect(world.log).toEqual(['open 10.0.0.1'])
  })

  it('gives a name that is preferred 250 ms, and tries it as soon as it is known', async () => {
    const world = new World()
    const dialled = world.dial(['/dns4/host/tcp/4001', A])
    await world.pass(249)
    expect(world.log).toEqual(['look up host/4'])
    await world.pass(1)
    expect(world.log).toEqual(['look up host/4', 'open 10.0.0.1'])
    await world.tell('host', ['10.0.0.9'])
    await world.refuse('10.0.0.1')
    await world.connect('10.0.0.9')
    await world.admit('10.0.0.9')
    expect(await dialled).toMatchObject({ stream: 'stream to 10.0.0.9' })
  })

  it('holds no place while it only waits for names', async () => {
    const world = new World()
    const dialled = world.dial([A, '/dns6/host/tcp/4001'])
    // Before `dial` has returned.
    expect(world.places.taken).toBe(1)
    await world.refuse('10.0.0.1')
    expect(world.places.taken).toBe(0)
    const leave = await world.places.enter(new AbortController().signal)
    await world.tell('host', ['2001:db8::9'])
    expect(world.log).toEqual(['look up host/6', 'open 10.0.0.1'])
    // Waiting for a place does not count.
    await world.pass(TIMEOUT_MS * 2)
    leave()
    await later()
    await world.connect('2001:db8::9')
    await world.admit('2001:db8::9')
    await dialled
  })

  it('tries 8 addresses of a name at most, not counting those that are not allowed', async () => {
    const world = new World()
    world.forbidden = ['10.0.1.0', '10.0.1.1']
    const dialled = world.dial(['/dns/host/tcp/4001'])
    await world.tell(
      'host',
      Array.from({ length: 12 }, (_, i) => `10.0.1.${i}`)
    )
    for (let i = 2; i < 10; i++) await world.refuse(`10.0.1.${i}`)
    expect(await errorOf(dialled)).toMatchObject({ why: 'refused' })
    expect(world.log).toHaveLength(9)
  })

  it('gives a handshake its share of the time, so that a silent remote leaves some for others', async () => {
    const world = new World()
    const dialled = world.dial([A, B])
    await world.connect('10.0.0.1')
    await world.pass(TIMEOUT_MS / 2)
    await world.connect('10.0.0.2')
    await world.pass(TIMEOUT_MS / 2)
    const { message, why } = await errorOf(dialled)
    expect(why).toBe('timed-out')
    expect(message).toBe(
      `dial to peer failed: ${A} timed out: no connection in 5000 ms; ${B} timed out: no connection in 10000 ms`
    )
    expect(world.clock.armed).toBe(0)
  })
})

describe('a dial that fails', () => {
  it('tells of one address what happened there, and its IP', async () => {
    const world = new World()
    const dialled = world.dial([A])
    await world.refuse('10.0.0.1')
    expect(await errorOf(dialled)).toMatchObject({
      code: 'ERR_DIAL_FAILED',
      why: 'refused',
      ip: '10.0.0.1',
      message: `dial to ${A} failed: connection refused: nothing listens there`
    })
  })

  it('tells of several addresses what happened at each, and is the most telling of it', async () => {
    const world = new World()
    world.forbidden = ['10.0.0.9']
    const dialled = world.dial(['/dns/nobody/tcp/1', '/dns/host/tcp/4001', A, B, C])
    await world.tell('host', ['10.0.0.9', '10.0.0.8'])
    world.lookUps.get('nobody')!.fail(new NameError('nobody', 'ENOTFOUND'))
    await later()
    await world.refuse('10.0.0.8', 'ENETUNREACH')
    await world.refuse('10.0.0.1')
    await world.connect('10.0.0.2')
    world.denial = { reason: 'peer-mismatch', direction: 'outbound', peerId: 'another' }
    await world.breakOff('10.0.0.2')
    await world.connect('2001:db8::3')
    // What our gater said of one is not taken for what it says of the next.
    await world.breakOff('2001:db8::3')
    const { code, why, ip, message } = await errorOf(dialled)
    expect({ code, why, ip }).toEqual({ code: 'ERR_PEER_MISMATCH', why: 'mismatch', ip: undefined })
    expect(message.split('; ')).toEqual([
      'dial to peer failed: /dns/host/tcp/4001 (10.0.0.9) denied here: not at 10.0.0.9',
      '/dns/nobody/tcp/1 failed: the name cannot be resolved (ENOTFOUND)',
      '/dns/host/tcp/4001 (10.0.0.8) failed: unreachable (ENETUNREACH)',
      `${A} failed: connection refused: nothing listens there`,
      `${B} is another, wanted peer`,
      `${C} failed: the handshake did not complete: not multistream-select`
    ])
  })

  it.each([
    [['ENETUNREACH', 'ECONNREFUSED'], 'refused'],
    [['ECONNREFUSED', 'ETIMEDOUT'], 'timed-out'],
    [['EMFILE', 'EMFILE'], 'unreachable']
  ] as const)('%s is %s', async ([first, second], why) => {
    const world = new World()
    const dialled = world.dial([A, B])
    await world.refuse('10.0.0.1', first)
    await world.refuse('10.0.0.2', second)
    expect(await errorOf(dialled)).toMatchObject({ why, code: 'ERR_DIAL_FAILED' })
  })

  it('is not allowed only when no address was to be tried', async () => {
    const world = new World()
    world.forbidden = ['10.0.0.1', '10.0.0.2']
    const dialled = world.dial([A, B, '/dns/nobody/tcp/1'])
    world.lookUps.get('nobody')!.fail(new NameError('nobody', 'ENOTFOUND'))
    expect(await errorOf(dialled)).toMatchObject({ why: 'denied', code: 'ERR_NOT_ALLOWED' })
    expect(world.log).toEqual(['look up nobody/0'])
  })

  it('says that the remote broke the handshake off', async () => {
    const world = new World()
    const dialled = world.dial([A])
    await world.connect('10.0.0.1')
    await world.breakOff('10.0.0.1', 'the remote closed the connection')
    expect(await errorOf(dialled)).toMatchObject({ why: 'denied', code: 'ERR_DIAL_FAILED' })
  })

  it('says so when a name was not resolved in time', async () => {
    const world = new World()
    const dialled = world.dial(['/dns/host/tcp/4001'], 10)
    await world.pass(10)
    expect(await errorOf(dialled)).toMatchObject({
      why: 'not-resolved',
      message: 'dial to /dns/host/tcp/4001 timed out: the name was not resolved in 10 ms'
    })
    expect(world.clock.armed).toBe(0)
  })

  it('names 16 failures, and says how many more there are', async () => {
    const world = new World()
    const dialled = world.dial(['/dns/one/tcp/4001', '/dns/two/tcp/4001', '/dns/three/tcp/4001'])
    for (const [i, host] of ['one', 'two', 'three'].entries()) {
      await world.tell(
        host,
        Array.from({ length: 8 }, (_, j) => `10.${i}.0.${j}`)
      )
    }
    for (let i = 0; i < 24; i++) await world.refuse(`10.${i >> 3}.0.${i & 7}`)
    const { message } = await errorOf(dialled)
    expect(message.split('; ')).toHaveLength(17)
    expect(message).toMatch(/; 8 more$/)
  })

  it.each(['look-up', 'connection', 'handshake'])(
    'ends at once when it is cancelled during a %s',
    async stage => {
      const world = new World()
      const dialled = world.dial(stage === 'look-up' ? ['/dns/host/tcp/4001'] : [A])
      if (stage === 'handshake') await world.connect('10.0.0.1')
      world.controller.abort(new Error('removed'))
      await expect(dialled).rejects.toThrow('removed')
      expect(world.clock.armed).toBe(0)
      expect(world.places.taken).toBe(0)
    }
  )
})

describe('a dial to a peer that does not admit this node', () => {
  it('is denied by it when it ends the connection', async () => {
    const world = new World()
    const dialled = world.dial([A])
    await world.connect('10.0.0.1')
    await world.turnAway('10.0.0.1', new Error('the stream was reset'))
    const text = 'failed: denied by the remote: it closed the connection without admitting this node'
    const error = await errorOf(dialled)
    expect(error).toMatchObject({
      why: 'denied',
      code: 'ERR_DIAL_FAILED',
      message: `dial to ${A} ${text}`,
      ip: '10.0.0.1'
    })
    expect(error.cause).toMatchObject({ message: 'the stream was reset' })
    expect(world.log.at(-1)).toBe(`end lost: dial to ${A} ${text}`)
    expect(world.clock.armed).toBe(0)
  })

  it('ends no connection that has ended already', async () => {
    const world = new World()
    const dialled = world.dial([A])
    await world.connect('10.0.0.1')
    await world.turnAway('10.0.0.1', new Error('the stream was reset'), false)
    await errorOf(dialled)
    expect(world.log.at(-1)).toBe('open stream to 10.0.0.1')
  })

  it('is to another kind of node when that does not speak the protocol', async () => {
    const world = new World()
    const dialled = world.dial([A])
    await world.connect('10.0.0.1')
    await world.turnAway('10.0.0.1', Object.assign(new Error('none'), { name: 'UnsupportedProtocolError' }))
    expect(await errorOf(dialled)).toMatchObject({
      why: 'mismatch',
      code: 'ERR_DIAL_FAILED',
      message: `dial to ${A} failed: the node there does not speak ${PROTOCOL_ID}`
    })
  })

  it('is out of time when it neither admits nor turns away, and goes on where there are other addresses', async () => {
    const world = new World()
    const dialled = world.dial([A, B])
    await world.connect('10.0.0.1')
    await world.turnAway('10.0.0.1', UNANSWERED)
    await world.pass(TIMEOUT_MS / 2 - 1)
    expect(world.log).not.toContain('open 10.0.0.2')
    await world.pass(1)
    await world.connect('10.0.0.2')
    await world.turnAway('10.0.0.2', UNANSWERED)
    await world.pass(TIMEOUT_MS / 2)
    const { why, message } = await errorOf(dialled)
    expect(why).toBe('timed-out')
    expect(message).toBe(
      `dial to peer failed: ${A} timed out: connected, but not admitted in 5000 ms; ` +
        `${B} timed out: connected, but not admitted in 10000 ms`
    )
    expect(world.log.filter(line => line.startsWith('end'))).toHaveLength(2)
    expect(world.places.taken).toBe(0)
  })

  it('is denied here when the gater says so, also out of time', async () => {
    const world = new World()
    const dialled = world.dial([A])
    await world.connect('10.0.0.1')
    world.denial = { reason: 'barred', direction: 'outbound', peerId: 'peer' }
    await world.breakOff('10.0.0.1')
    expect(await errorOf(dialled)).toMatchObject({
      why: 'denied',
      code: 'ERR_NOT_ALLOWED',
      message: `dial to ${A} denied here: peer is barred: its token bucket is empty`
    })
  })

  it('is to another peer when libp2p says that the key is another’s', async () => {
    const world = new World()
    const dialled = world.dial([A])
    await world.connect('10.0.0.1')
    await world.breakOff('10.0.0.1', 'payload does not match expected remote identity key')
    expect(await errorOf(dialled)).toMatchObject({
      why: 'mismatch',
      code: 'ERR_PEER_MISMATCH',
      message: `${A} is another peer, wanted peer`
    })
  })
})

describe('a connection that cannot be made', () => {
  it.each([
    ['ECONNREFUSED', 'refused', 'failed: connection refused: nothing listens there'],
    ['ECONNRESET', 'denied', 'failed: the handshake did not complete: the remote closed the connection'],
    ['ETIMEDOUT', 'timed-out', 'failed: timed out: no answer'],
    ['EHOSTUNREACH', 'unreachable', 'failed: unreachable (EHOSTUNREACH)']
  ])('%s is %s', async (code, why, text) => {
    const world = new World()
    const dialled = world.dial([A])
    await world.refuse('10.0.0.1', code)
    const error = await errorOf(dialled)
    expect(error).toMatchObject({ why, code: 'ERR_DIAL_FAILED', message: `dial to ${A} ${text}` })
    expect(error.cause).toMatchObject({ code })
  })

  it('without a code says what was thrown', async () => {
    const world = new World()
    const dialled = world.dial([A])
    await later()
    world.sockets.get('10.0.0.1')!.fail(new Error('no such transport'))
    expect(await errorOf(dialled)).toMatchObject({
      why: 'unreachable',
      message: `dial to ${A} failed: unreachable (no such transport)`
    })
  })
})

it('an address that two names come to is tried once', async () => {
  const world = new World()
  const dialled = world.dial(['/dns/nobody/tcp/4001', '/dns/one/tcp/4001', '/dns/two/tcp/4001'])
  await world.tell('two', ['10.0.0.1'])
  await world.tell('one', ['10.0.0.1'])
  world.lookUps.get('nobody')!.fail(new NameError('nobody', 'ENOTFOUND'))
  await later()
  await world.refuse('10.0.0.1')
  expect(await errorOf(dialled)).toMatchObject({ why: 'refused' })
  expect(world.log.filter(line => line.startsWith('open'))).toEqual(['open 10.0.0.1'])
})

it('names are looked up in the family that the address says', () => {
  const world = new World()
  void world.dial(['/dns/a/tcp/1', '/dns4/b/tcp/1', '/dns6/c/tcp/1'])
  expect(world.log).toEqual(['look up a/0', 'look up b/4', 'look up c/6'])
})

it('a dial that was cancelled before it began opens nothing', async () => {
  const world = new World()
  world.controller.abort(new Error('removed'))
  await expect(world.dial([A])).rejects.toThrow('removed')
  expect(world.log).toEqual([])
  expect(world.clock.armed).toBe(0)
})

it('waiting for a place costs no time', async () => {
  const world = new World()
  const leave = await world.places.enter(new AbortController().signal)
  const dialled = world.dial([A])
  await world.pass(TIMEOUT_MS - 1)
  await world.pass(10 * TIMEOUT_MS)
  expect(world.log).toEqual([])
  leave()
  await later()
  await world.connect('10.0.0.1')
  await world.pass(TIMEOUT_MS - 1)
  await world.admit('10.0.0.1')
  expect((await dialled).stream).toBe('stream to 10.0.0.1')
  expect(world.places.taken).toBe(0)
})
