import type { P2pEvent } from 'bitvmx-p2p'
import { beforeAll, expect, it } from 'vitest'
import { connect, LONG, startNode } from '../support/node-process.ts'
import type { NodeProcess, NodeScope } from '../support/node-process.ts'
import { suspend } from '../support/proc.ts'

const COUNT = 1_000
/** An ended thread is noticed within this time, in milliseconds. */
const PROMPT_MS = 4_000
/** A thread that hangs counts as dead after 30 s without an answer to a look that comes every 5 s. */
const HANGING_MS = 45_000
const DEADLINE_MS = HANGING_MS + 10_000
const HANG = 'for(;;);'

type Reading = 'recv' | 'recv(0)' | 'tryRecv' | 'drain' | 'recvAsync' | 'for await'
/** The code runs in the runtime thread; without any the application terminates it. */
const DEATHS: Array<{ reading: Reading; what: string; code?: string }> = [
  { reading: 'recv', what: 'is terminated' },
  { reading: 'tryRecv', what: 'ends itself', code: 'process.exit(7)' },
  { reading: 'recv(0)', what: 'ends itself', code: 'process.exit(7)' },
  { reading: 'drain', what: 'has an exception', code: 'throw Error("!")' },
  { reading: 'recvAsync', what: 'ends itself', code: 'process.exit(7)' },
  { reading: 'for await', what: 'is terminated' },
  ...(LONG ? [{ reading: 'recv' as const, what: 'hangs', code: HANG }] : [])
]

/** Nodes with connections to two peers that are there and do not answer; one node for each death. */
let nodes: NodeProcess[]
let peers: NodeProcess[]
/** Takes connections and says nothing: a dial to it stays open. */
let silent: NodeProcess

beforeAll(async () => {
  ;[silent, ...peers] = await Promise.all([startNode(), startNode(), startNode()])
  nodes = await Promise.all(DEATHS.map(async () => startNode()))
  for (const node of nodes) for (const peer of peers) await connect(node, peer)
  await Promise.all([silent, ...peers].map(async ({ pid }) => suspend(pid)))
})

it.each(DEATHS.map((death, index) => ({ ...death, index })))(
  'when the runtime thread $what, an application that reads with $reading is told about every message, peer and dial, and goes on',
  async ({ code = '', reading, index }) => {
    const to = peers.map(({ peerId }) => peerId)
    const dialled = { peerId: silent.peerId, address: silent.addresses[0]! }
    const given = { code, reading, to, dialled, count: COUNT }
    const told = await nodes[index]!.run(surviveDeath, given, DEADLINE_MS)

    const failures = told.events.filter(event => event.type === 'Error')
    expect(failures).toEqual([
      expect.objectContaining({ code: 'ERR_RUNTIME_FAILED' }),
      expect.objectContaining({ code: 'ERR_DIAL_FAILED', peerId: silent.peerId, id: told.dial })
    ])
    const gone = told.events.flatMap(event => (event.type === 'Disconnected' ? [event.peerId] : []))
    expect(gone.toSorted()).toEqual(to.toSorted())
    // One Status for each message, in the order of sending; nobody knows what became of them.
    const statuses = told.events.flatMap(event => (event.type === 'Status' ? [event] : []))
    expect(statuses.filter(({ ok, reason }) => ok || reason !== 'connection-lost')).toEqual([])
    for (const [peerId, ids] of Object.entries(told.ids)) {
      expect(statuses.filter(status => status.peerId === peerId).map(({ id }) => id)).toEqual(ids)
    }
    expect(told.events).toHaveLength(failures.length + gone.length + to.length * COUNT)

    expect(told.closed).toEqual([true, true])
    expect(told.state).toBe('stopped')
    expect(told.refused).toEqual(['ERR_CLOSED', 'ERR_CLOSED', 'ERR_CLOSED', 'ERR_CLOSED'])
    expect(told.afterwards).toEqual([undefined, undefined, undefined])
    expect(told.tookMs).toBeLessThan(code === HANG ? HANGING_MS : PROMPT_MS)
  },
  DEADLINE_MS + 10_000
)

it('a task of the runtime that fails unobserved is told and ends nothing', async () => {
  const [alice, bob] = await Promise.all([startNode(), startNode()])
  await connect(alice, bob)
  await alice.run(({ runtimeThread }) => runtimeThread.postMessage('void Promise.reject(Error("oops"))'))

  const { code, message } = await alice.event({ type: 'Error' })
  expect({ code, message }).toEqual({
    code: 'ERR_RUNTIME_FAILED',
    message: 'a task of the runtime failed, and the runtime goes on: oops'
  })
  const id = await alice.sendMsg(bob, new Uint8Array(1))
  await alice.event({ type: 'Status', id, ok: true })
})

it('tasks that fail again and again are told only as long as somebody reads of them', async () => {
  const alice = await startNode()
  const [unread, next] = await alice.run(({ p2p, runtimeThread }) => {
    const { receiver, runtime } = p2p
    runtimeThread.postMessage('for (let i = 0; i < 70_000; i++) void Promise.reject(Error("oops"))')
    while (receiver.length === 0) runtime.inspect()
    // The answer comes after everything that failed in the same turn.
    runtime.inspect()
    const count = receiver.drain().length
    runtimeThread.postMessage('void Promise.reject(Error("again"))')
    return [count, receiver.recv(10_000)]
  })
  expect(unread).toBe(65_536)
  expect(next).toMatchObject({ type: 'Error', message: expect.stringContaining('again') as string })
})

interface Told {
  dial: number
  ids: Record<string, number[]>
  events: P2pEvent[]
  tookMs: number
  closed: boolean[]
  state: string
  /** What the calls after the end throw, and what reading after the end returns. */
  refused: unknown[]
  afterwards: unknown[]
}

/** Sends to the peers, has the runtime thread die, and reads until the channel is closed. */
async function surviveDeath(
  { p2p, runtimeThread }: NodeScope,
  {
    code,
    reading,
    to,
    dialled,
    count
  }: {
    code: string
    reading: Reading
    to: string[]
    dialled: { peerId: string; address: string }
    count: number
  }
): Promise<Told> {
  const { receiver, priority, sender, runtime, allowList } = p2p
  const ids: Record<string, number[]> = {}
  for (const peerId of to)
    ids[peerId] = Array.from({ length: count }, () => sender.sendMsg(peerId, new Uint8Array(9)))
  const dial = sender.dial(dialled.peerId, dialled.address)
  // The runtime has them: it answers after what was handed over before.
  runtime.inspect()

  const begin = performance.now()
  if (code === '') void runtimeThread.terminate()
  else runtimeThread.postMessage(code)
  const events: P2pEvent[] = []
  const ways: Record<Reading, () => unknown> = {
    recv: () => receiver.recv(),
    'recv(0)': () => receiver.recv(0),
    tryRecv: () => receiver.tryRecv(),
    drain: () => receiver.drain(),
    recvAsync: async () => receiver.recvAsync(),
    'for await': async () => {
      const all: P2pEvent[] = []
      for await (const event of receiver) all.push(event)
      return all
    }
  }
  do {
    // Awaiting what is there already gives no event of the thread's end a turn.
    const taken = await ways[reading]()
    if (taken !== undefined) events.push(...[taken as P2pEvent | P2pEvent[]].flat())
    if (performance.now() - begin > 60_000) throw new Error('nobody notices that the thread is dead')
  } while (!receiver.closed || receiver.length > 0)
  const tookMs = performance.now() - begin

  const refused: unknown[] = []
  const calls: Array<() => unknown> = [
    () => sender.sendMsg(to[0]!, new Uint8Array(1)),
    () => runtime.inspect(),
    () => allowList.allowAll(false),
    async () => runtime.inspectAsync()
  ]
  for (const call of calls) {
    try {
      refused.push(await call())
    } catch (err) {
      refused.push((err as { code: string }).code)
    }
  }
  const afterwards = [receiver.recv(), await receiver.recvAsync(), priority.recv()]
  p2p.stop()
  await runtime.closed
  return {
    dial,
    ids,
    events,
    tookMs,
    closed: [receiver.closed, priority.closed],
    state: runtime.state,
    refused,
    afterwards
  }
}
