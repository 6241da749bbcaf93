import { once } from 'node:events'
import type { ChildProcess } from 'node:child_process'
import { beforeAll, expect, it } from 'vitest'
import { connect, exitOf, forkProgram, startNode } from '../support/node-process.ts'
import type { Exit, NodeProcess } from '../support/node-process.ts'
import { suspend } from '../support/proc.ts'

/** An application that has nothing left to do is gone within this time, in milliseconds. */
const PROMPT_MS = 3_000

let bob: NodeProcess

beforeAll(async () => {
  bob = await startNode()
})

/** What an application tells, in order, and its exit with the time since it had nothing more to do. */
class Application {
  readonly messages: unknown[] = []
  readonly exited: Promise<Exit & { afterMs: number }>
  readonly child: ChildProcess

  constructor(way: string) {
    this.child = forkProgram('application.mjs', [way, bob.peerId, bob.addresses[0]!])
    let endedAt = NaN
    this.child.on('message', message => {
      endedAt = performance.now()
      this.messages.push(message)
    })
    this.exited = exitOf(this.child).then(exit => ({ ...exit, afterMs: performance.now() - endedAt }))
  }

  /** Waits for the next message. */
  async message(): Promise<void> {
    const exited = this.exited.then(({ code }) => Promise.reject(new Error(`it ended with code ${code}`)))
    await Promise.race([once(this.child, 'message', { signal: AbortSignal.timeout(10_000) }), exited])
  }
}

it.each(['ends', 'ends-after-awaiting', 'shows', 'stops'])(
  'an application that %s without waiting is not kept alive by its node',
  async way => {
    const application = new Application(way)
    const { code, signal, afterMs } = await application.exited

    expect({ code, signal }).toEqual({ code: 0, signal: null })
    expect(application.messages).toEqual(['end'])
    expect(afterMs).toBeLessThan(PROMPT_MS)
    const { peerId } = await bob.event({ type: 'Connected' })
    await bob.event({ type: 'Disconnected', peerId })
  }
)

it.each(['awaits-closed', 'stops-and-awaits-closed'])(
  'an application that %s lives until everything is closed, continues, and ends',
  async way => {
    const application = new Application(way)
    const { code, afterMs } = await application.exited

    expect(code).toBe(0)
    expect(application.messages).toEqual([{ state: 'stopped', closed: true }, 'end'])
    expect(afterMs).toBeLessThan(PROMPT_MS)
    const { peerId } = await bob.event({ type: 'Connected' })
    await bob.event({ type: 'Disconnected', peerId })
  }
)

it('an application that reads with for await lives until its channel closes', async () => {
  const application = new Application('reads-until-closed')
  const peer = await bob.event({ type: 'Connected' })
  const to = { peerId: peer.peerId, addresses: [] }

  // Each message is told only by an application that still lives, with nothing but the channel to keep it alive.
  for (const number of [1, 2, 3]) {
    const told = application.message()
    await bob.sendMsg(to, Uint8Array.of(number))
    await told
  }
  await bob.sendMsg(to, new Uint8Array(0))
  const { code, afterMs } = await application.exited

  expect(code).toBe(0)
  expect(application.messages).toEqual([
    { type: 'Data', data: Uint8Array.of(1), reason: undefined },
    { type: 'Data', data: Uint8Array.of(2), reason: undefined },
    { type: 'Data', data: Uint8Array.of(3), reason: undefined },
    { type: 'Disconnected', data: undefined, reason: 'this node was stopped' },
    'end'
  ])
  expect(afterMs).toBeLessThan(PROMPT_MS)
  await bob.event({ type: 'Disconnected', peerId: peer.peerId })
})

it('an application whose runtime thread dies while it reads with for await hears of it before it ends', async () => {
  const application = new Application('loses-its-thread')
  const { code, afterMs } = await application.exited

  expect(code).toBe(0)
  expect(application.messages).toEqual([
    { type: 'Error', code: 'ERR_RUNTIME_FAILED' },
    { type: 'Disconnected', code: 'stopped' },
    'end'
  ])
  expect(afterMs).toBeLessThan(PROMPT_MS)
  // The next application is not taken for this one.
  const { peerId } = await bob.event({ type: 'Connected' })
  await bob.event({ type: 'Disconnected', peerId })
})

it.each([
  { what: 'to a peer that does not answer', frozen: true, outcomes: ['stopped'] },
  { what: 'in the same breath', frozen: false, outcomes: ['accepted', 'stopped'] }
])('stop with messages sent $what settles each of them exactly once', async ({ frozen, outcomes }) => {
  const COUNT = 1_000
  const [alice, carol] = await Promise.all([startNode(), startNode()])
  await connect(alice, carol)
  if (frozen) await suspend(carol.pid)

  const told = await alice.run(
    ({ p2p }, { to, count, wait }) => {
      const ids = Array.from({ length: count }, () => p2p.sender.sendMsg(to, new Uint8Array(100)))
      const events = wait ? [p2p.receiver.recv(200)] : []
      const begin = performance.now()
      p2p.stop()
      for (let event = p2p.receiver.recv(); event !== undefined; event = p2p.receiver.recv())
        events.push(event)
      return { ids, events, closed: p2p.receiver.closed, tookMs: performance.now() - begin }
    },
    { to: carol.peerId, count: COUNT, wait: frozen }
  )

  const statuses = told.events.flatMap(event => (event?.type === 'Status' ? [event] : []))
  expect(statuses.map(({ id }) => id)).toEqual(told.ids)
  const seen = new Set(statuses.map(({ ok, reason }) => (ok ? 'accepted' : reason)))
  expect(outcomes).toEqual(expect.arrayContaining([...seen]))
  const others = told.events.flatMap(event =>
    event === undefined || event.type === 'Status' ? [] : [event.type]
  )
  expect(others).toEqual(['Disconnected'])
  expect(told.closed).toBe(true)
  expect(told.tookMs).toBeLessThan(PROMPT_MS)
})
