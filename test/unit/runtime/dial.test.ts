import { describe, expect, it, vi } from 'vitest'
import type { Node } from '../../../src/node/index.ts'
import { dialPeer } from '../../../src/runtime/dial.ts'

// A name server that never answers.
vi.mock('node:dns/promises', () => ({ lookup: async () => new Promise(() => {}) }))

/** Nothing is dialled before the name has become an address. */
const node = {} as Node

function dial(given: { timeoutMs: number; signal: AbortSignal }): Promise<unknown> {
  const target = { peerId: 'somebody', address: '/dns/some.host/tcp/4001', ...given }
  return dialPeer(node, target, () => undefined)
}

describe('a dial to a name that is being looked up', () => {
  it('ends when it is cancelled', async () => {
    const controller = new AbortController()
    const dialled = dial({ timeoutMs: 1_000_000, signal: controller.signal })
    controller.abort(new Error('removed'))
    await expect(dialled).rejects.toMatchObject({ code: 'ERR_DIAL_FAILED' })
  })

  it('ends when its time is over', async () => {
    await expect(dial({ timeoutMs: 10, signal: new AbortController().signal })).rejects.toMatchObject({
      code: 'ERR_DIAL_FAILED',
      message: expect.stringMatching(/timed out: no connection in 10 ms/) as string
    })
  })
})
