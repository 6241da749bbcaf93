import type { P2pEvent } from 'bitvmx-p2p'
import { describe, expect, test } from 'vitest'
import { exitOf } from '../support/node-process.ts'
import { forkWithNames, hasNamespaces } from '../support/own-names.ts'

/** A process with nothing left to do is gone within this time, in milliseconds. One look-up by the system takes 10 s. */
const PROMPT_MS = 3_000

const FILES = {
  hosts: `
    127.0.0.1 localhost
    127.0.0.1 fixed # by hand
    ::1 two
    127.0.0.1 two
    127.0.0.1 pinned
    127.0.0.2 pinned
  `,
  resolvConf: 'nameserver 127.0.0.1\nsearch cluster.example\noptions ndots:2\n'
}

interface Result {
  event: P2pEvent
  /** What the dialling node was told before. */
  before: P2pEvent[]
  connections: number
  stoppedMs: number
  /** How long the process took to end, in milliseconds. */
  endedAfterMs: number
}

/** Runs a scenario of test/support/programs/names.mjs to the end of its process. */
async function run(scenario: string, argument?: string): Promise<Result> {
  const child = forkWithNames('names.mjs', argument === undefined ? [scenario] : [scenario, argument], FILES)
  let result: (Omit<Result, 'endedAfterMs'> & { at: number }) | undefined
  child.once('message', message => (result = message as never))
  const { code } = await exitOf(child)
  if (result === undefined) throw new Error(`${scenario} ended with code ${code} and no result`)
  return { ...result, endedAfterMs: Date.now() - result.at }
}

// Where no namespaces are to be had, test/unit/names has the same with a name server of its own.
describe.skipIf(!hasNamespaces())('on a machine with dead names', () => {
  test.for([
    ['DNS', 'good.example'],
    ['DNS, in a search domain', 'node-2'],
    ['the hosts file', 'fixed'],
    ['localhost', 'localhost']
  ])('200 of them delay no dial to a name that is known by %s', async ([, name]) => {
    const { event, before, endedAfterMs } = await run('dead-names', name)
    expect(event).toMatchObject({ type: 'Connected', address: '/ip4/127.0.0.1/tcp/4001' })
    expect(before).toEqual([])
    expect(endedAfterMs).toBeLessThan(PROMPT_MS)
  })

  test('neither `stop` nor the end of the process waits for them', async () => {
    const { stoppedMs, endedAfterMs } = await run('stop-with-dead-names')
    expect(stoppedMs).toBeLessThan(PROMPT_MS)
    expect(endedAfterMs).toBeLessThan(PROMPT_MS)
  })

  test('a dial to several addresses does not wait for one of them', async () => {
    const { event, before } = await run('dead-among-several')
    expect(event).toMatchObject({ type: 'Connected', address: '/ip4/127.0.0.1/tcp/4001' })
    expect(before).toEqual([])
  })
})

describe.skipIf(!hasNamespaces())('a dial to a name', () => {
  test('with two addresses, of which only the second is listened on, connects to that', async () => {
    const { event, before } = await run('dial', 'two')
    expect(event).toMatchObject({ type: 'Connected', address: '/ip4/127.0.0.1/tcp/4001' })
    expect(before).toEqual([])
  })

  test('opens no socket to the address where the allow list does not have the peer', async () => {
    const { event, connections } = await run('pinned')
    expect(event).toMatchObject({ type: 'Connected', address: '/ip4/127.0.0.2/tcp/4001' })
    expect(connections).toBe(0)
  })

  test.for([
    ['ipv4first', '/ip4/127.0.0.1/tcp/4001'],
    ['ipv6first', '/ip6/::1/tcp/4001'],
    [undefined, '/ip6/::1/tcp/4001']
  ])('begins with the family that the application prefers: %s', async ([order, address]) => {
    const { event } = await run('order', order)
    expect(event).toMatchObject({ type: 'Connected', address })
  })

  test('that nobody knows fails at once', async () => {
    const { event } = await run('not-resolved')
    expect(event).toMatchObject({ code: 'ERR_DIAL_FAILED', why: 'not-resolved' })
    expect((event as { message: string }).message).toMatch(
      /nobody\.example.*cannot be resolved \((ENOTFOUND|EAI_AGAIN)\)/
    )
  })
})
