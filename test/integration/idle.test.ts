import { expect, it } from 'vitest'
import { connect, startNode } from '../support/node-process.ts'

const WAIT_MS = 2_000
/** CPU time of the whole process, as a share of the time it waits. */
const MAX_SHARE = 0.05

it('a process that waits for an event uses no CPU, whether it blocks or awaits', async () => {
  const [alice, bob] = await Promise.all([startNode(), startNode()])
  await connect(alice, bob)

  const [blocked, awaited] = await Promise.all([
    alice.run(({ p2p }, waitMs) => {
      const begin = process.cpuUsage()
      const event = p2p.receiver.recv(waitMs)
      const { user, system } = process.cpuUsage(begin)
      return { event, cpuMs: (user + system) / 1_000 }
    }, WAIT_MS),
    bob.run(async ({ p2p }, waitMs) => {
      const begin = process.cpuUsage()
      const event = await p2p.receiver
        .recvAsync({ signal: AbortSignal.timeout(waitMs) })
        .catch(() => undefined)
      const { user, system } = process.cpuUsage(begin)
      return { event, cpuMs: (user + system) / 1_000 }
    }, WAIT_MS)
  ])

  expect([blocked.event, awaited.event]).toEqual([undefined, undefined])
  expect(blocked.cpuMs / WAIT_MS).toBeLessThan(MAX_SHARE)
  expect(awaited.cpuMs / WAIT_MS).toBeLessThan(MAX_SHARE)
})
