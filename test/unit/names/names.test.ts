import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { ResolverOptions } from 'node:dns'
import { Resolver } from 'node:dns/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { Names, QUERY } from '../../../src/names/index.ts'
import type { Dns, NamesInit } from '../../../src/names/index.ts'
import { startDnsServer } from '../../support/programs/dns-server.mjs'
import { FakeClock } from '../protocol/support.ts'

const folder = mkdtempSync(join(tmpdir(), 'names-'))
const hostsPath = join(folder, 'hosts')
writeFileSync(hostsPath, '10.0.0.1 fixed\n0.0.0.0 blocked\n10.0.0.2 localhost\n')
afterAll(() => rmSync(folder, { recursive: true }))

const never = new AbortController().signal
const later = async (): Promise<void> => new Promise(resolve => setImmediate(resolve))

/** An answer of DNS that the test gives. */
class Answer {
  readonly promise: Promise<string[]>
  tell: (ips: string[]) => void = () => {}
  fail: (code: string) => void = () => {}

  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.tell = resolve
      this.fail = code => reject(Object.assign(new Error(code), { code }))
    })
    // It may answer a question that was not asked.
    this.promise.catch(() => {})
  }
}

/** Names over a DNS whose answers the test gives, by name and family. */
class World {
  readonly clock = new FakeClock()
  readonly answers = new Map<string, Answer>()
  readonly asked: string[] = []
  resolvers = 0
  cancelled = 0
  readonly system = vi.fn<NonNullable<NamesInit['system']>>(async () => [])
  readonly names: Names

  constructor(init: Partial<NamesInit> = {}) {
    const ask = (family: 4 | 6) => async (name: string) => {
      this.asked.push(`${name}/${family}`)
      return this.answer(name, family).promise
    }
    const dns = (): Dns => {
      this.resolvers++
      return {
        resolve4: ask(4) as Dns['resolve4'],
        resolve6: ask(6) as Dns['resolve6'],
        cancel: () => this.cancelled++
      }
    }
    this.names = new Names({
      clock: this.clock,
      order: 'verbatim',
      hostsPath,
      resolvConfPath: join(folder, 'none'),
      dns,
      system: this.system,
      ...init
    })
  }

  answer(name: string, family: 4 | 6): Answer {
    const key = `${name}/${family}`
    let answer = this.answers.get(key)
    if (answer === undefined) this.answers.set(key, (answer = new Answer()))
    return answer
  }

  /** DNS says that there is no such name. */
  deny(name: string): void {
    this.answer(name, 4).fail('ENOTFOUND')
    this.answer(name, 6).fail('ENOTFOUND')
  }
}

describe('a name', () => {
  it('in the hosts file is not asked of DNS', async () => {
    const { names, asked } = new World()
    expect(await names.resolve('fixed', 0, never)).toEqual(['10.0.0.1'])
    expect(asked).toEqual([])
  })

  it('that the hosts file has in the other family only is asked of DNS', async () => {
    const world = new World()
    world.answer('fixed', 6).tell(['2001:db8::1'])
    expect(await world.names.resolve('fixed', 6, never)).toEqual(['2001:db8::1'])
  })

  it('of this machine is loopback, whatever the files and DNS say', async () => {
    const { names, asked } = new World()
    expect(await names.resolve('localhost', 0, never)).toEqual(['10.0.0.2', '::1', '127.0.0.1'])
    expect(await names.resolve('app.localhost', 0, never)).toEqual(['::1', '127.0.0.1'])
    expect(await names.resolve('localhost', 6, never)).toEqual(['::1'])
    expect(asked).toEqual([])
  })

  it('that is blocked by the unspecified address has none', async () => {
    const world = new World()
    world.answer('refused.example', 4).tell(['0.0.0.0'])
    world.answer('refused.example', 6).tell(['::'])
    for (const name of ['blocked', 'refused.example']) {
      await expect(world.names.resolve(name, 0, never)).rejects.toMatchObject({ code: 'ENODATA' })
    }
    expect(world.system).not.toHaveBeenCalled()
  })

  it.each([
    ['verbatim', ['2001:db8::1', '10.0.0.1', '2001:db8::2', '10.0.0.2', '10.0.0.3']],
    ['ipv6first', ['2001:db8::1', '10.0.0.1', '2001:db8::2', '10.0.0.2', '10.0.0.3']],
    ['ipv4first', ['10.0.0.1', '2001:db8::1', '10.0.0.2', '2001:db8::2', '10.0.0.3']]
  ] as const)('has the addresses of both families in turns: %s', async (order, addresses) => {
    const world = new World({ order })
    world.answer('two.example', 4).tell(['10.0.0.1', '10.0.0.2', '10.0.0.3'])
    world.answer('two.example', 6).tell(['2001:DB8::1', '2001:db8::2'])
    expect(await world.names.resolve('two.example', 0, never)).toEqual(addresses)
  })

  it('of which DNS tells one family only is waited for half a second', async () => {
    const world = new World()
    let found: string[] | undefined
    void world.names.resolve('half.example', 0, never).then(ips => (found = ips))
    world.answer('half.example', 4).tell(['10.0.0.1'])
    await later()
    world.clock.advance(499)
    await later()
    expect(found).toBeUndefined()
    world.clock.advance(1)
    await later()
    expect(found).toEqual(['10.0.0.1'])
    expect(world.clock.armed).toBe(0)
  })

  it('is asked for in the search domains, and by the system last, which may know what DNS does not', async () => {
    const resolvConfPath = join(folder, 'resolv.conf')
    writeFileSync(resolvConfPath, 'search a.example b.example\n')
    const world = new World({ resolvConfPath })
    for (const name of ['printer', 'printer.a.example', 'printer.b.example']) world.deny(name)
    world.system.mockResolvedValueOnce(['10.0.0.9', '::FFFF:10.0.0.9'])
    expect(await world.names.resolve('printer', 4, never)).toEqual(['10.0.0.9'])
    expect(world.asked).toEqual(['printer.a.example/4', 'printer.b.example/4', 'printer/4'])
    expect(world.system).toHaveBeenCalledExactlyOnceWith('printer', 4)
  })

  it.each(['ETIMEOUT', 'ESERVFAIL'])('for which DNS fails with %s is not asked of the system', async code => {
    const world = new World()
    world.answer('dead.example', 4).fail(code)
    world.answer('dead.example', 6).fail(code)
    await expect(world.names.resolve('dead.example', 0, never)).rejects.toMatchObject({ code })
    expect(world.system).not.toHaveBeenCalled()
  })

  it('for which DNS fails is looked for in the search domains, and for which it is silent is not', async () => {
    const resolvConfPath = join(folder, 'resolv.conf')
    writeFileSync(resolvConfPath, 'search a.example b.example\n')
    const world = new World({ resolvConfPath })
    world.answer('node.a.example', 4).fail('ESERVFAIL')
    world.answer('node.b.example', 4).tell(['10.0.0.1'])
    expect(await world.names.resolve('node', 4, never)).toEqual(['10.0.0.1'])
    world.answer('dead.a.example', 4).fail('ETIMEOUT')
    await expect(world.names.resolve('dead', 4, never)).rejects.toMatchObject({ code: 'ETIMEOUT' })
  })

  it('is timed out when DNS is silent about one family and has nothing of the other', async () => {
    const world = new World()
    world.answer('half.example', 4).fail('ETIMEOUT')
    world.answer('half.example', 6).fail('ENODATA')
    await expect(world.names.resolve('half.example', 0, never)).rejects.toMatchObject({ code: 'ETIMEOUT' })
  })
})

describe('look-ups', () => {
  it('for the same name at the same time are one', async () => {
    const world = new World()
    const found = [1, 2, 3].map(async () => world.names.resolve('node.example', 4, never))
    world.answer('node.example', 4).tell(['10.0.0.1'])
    expect(await Promise.all(found)).toEqual([['10.0.0.1'], ['10.0.0.1'], ['10.0.0.1']])
    expect(world.asked).toEqual(['node.example/4'])
  })

  it('end at once for who does not want to wait, go on for others, and are cancelled with the last', async () => {
    const world = new World()
    const [tired, patient] = [new AbortController(), new AbortController()]
    const first = world.names.resolve('dead.example', 0, tired.signal)
    const second = world.names.resolve('dead.example', 0, patient.signal)
    tired.abort(new Error('tired'))
    await expect(first).rejects.toThrow('tired')
    expect(world.cancelled).toBe(0)
    patient.abort(new Error('tired, too'))
    await expect(second).rejects.toThrow('tired, too')
    expect(world.cancelled).toBe(1)
    world.deny('dead.example')
    await later()
    // Nobody is left to go on for.
    expect(world.system).not.toHaveBeenCalled()
  })

  it('use name servers that were read half a minute ago at most', async () => {
    const world = new World()
    const controller = new AbortController()
    void world.names.resolve('dead.example', 0, controller.signal).catch(() => {})
    world.clock.advance(29_999)
    void world.names.resolve('dead-2.example', 0, controller.signal).catch(() => {})
    expect(world.resolvers).toBe(1)
    world.clock.advance(1)
    void world.names.resolve('dead-3.example', 0, controller.signal).catch(() => {})
    expect(world.resolvers).toBe(2)
    controller.abort()
  })

  it('take one thread of the process at most, and leave the queue for it when nobody waits', async () => {
    const world = new World()
    const under = new Map<string, () => void>()
    world.system.mockImplementation(
      async host => new Promise(resolve => under.set(host, () => resolve(['10.0.0.1'])))
    )
    for (const name of ['a', 'b', 'c']) world.deny(name)
    const controller = new AbortController()
    const a = world.names.resolve('a', 4, never)
    const b = world.names.resolve('b', 4, controller.signal)
    const c = world.names.resolve('c', 4, never)
    await later()
    expect([...under.keys()]).toEqual(['a'])
    controller.abort(new Error('tired'))
    await expect(b).rejects.toThrow('tired')
    under.get('a')!()
    await a
    await later()
    expect([...under.keys()]).toEqual(['a', 'c'])
    under.get('c')!()
    expect(await c).toEqual(['10.0.0.1'])
  })
})

/** Names that c-ares asks of a server of the test's. */
function askingAt(address: string, options?: ResolverOptions): Names {
  return new Names({
    clock: { now: () => performance.now(), after: () => () => {} },
    order: 'verbatim',
    hostsPath,
    dns: () => {
      const resolver = new Resolver(options)
      resolver.setServers([address])
      return resolver
    }
  })
}

it('hundreds of dead names delay none that a real name server knows', { tags: ['long'] }, async () => {
  const server = await startDnsServer((name, family) => {
    if (name.startsWith('dead')) return undefined
    return family === 4 ? ['127.0.0.1'] : []
  })
  onTestFinished(server.close)
  const names = askingAt(server.address)
  const controller = new AbortController()
  let dead = 0
  const look = async (name: string): Promise<void> => {
    await names.resolve(name, 0, controller.signal).catch(() => {})
    dead++
  }
  const all = Array.from({ length: 500 }, async (_, i) => look(`dead-${i}.example`))
  expect(await names.resolve('good.example', 0, never)).toEqual(['127.0.0.1'])
  expect(dead).toBe(0)
  controller.abort()
  await Promise.all(all)
})

it('a name is not dead when a quick name server loses two questions', { tags: ['long'] }, async () => {
  let lost = 0
  const server = await startDnsServer(name => {
    if (name === 'slow.example' && lost < 2) {
      lost++
      return undefined
    }
    return ['127.0.0.1']
  })
  onTestFinished(server.close)
  const names = askingAt(server.address, QUERY)
  for (let i = 0; i < 40; i++) await names.resolve(`quick-${i}.example`, 4, never)
  expect(await names.resolve('slow.example', 4, never)).toEqual(['127.0.0.1'])
  expect(lost).toBe(2)
})
