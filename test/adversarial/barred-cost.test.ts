/** What a barred address can still make the node do: CPU time of the node's process, counted by the kernel. */
import { expect, test } from 'vitest'
import { LONG, startNode } from '../support/node-process.ts'
import { startAttackers } from './attacker.ts'
import { cpuMs } from './usage.ts'

const HANDSHAKES = LONG ? 1_000 : 150
const ATTEMPTS = LONG ? 10_000 : 1_500
/** A further attempt may cost this much of a whole handshake. */
const SHARE = 0.05

test('an attempt from a barred address costs at most a twentieth of a handshake', async () => {
  const create = startAttackers()
  const node = await startNode({ rateLimit: { capacity: 1, refillPerSecond: 0 } })
  const target = node.addresses[0]!
  const friend = await create({ target, from: '127.6.0.1' })
  const stranger = await create({ target, from: '127.6.0.2' })
  const cpuOf = async (count: number, action: () => Promise<unknown>): Promise<number> => {
    const before = cpuMs(node.pid)
    await action()
    return (cpuMs(node.pid) - before) / count
  }

  await stranger.attack('speaks HTTP')
  await stranger.attack('speaks HTTP')
  expect(await node.event({ type: 'ConnectionLimit' })).toMatchObject({ ip: '127.6.0.2' })
  // Both ways once before it counts: what is compiled and loaded on the way is no part of it.
  await friend.call('handshakes', { count: 20 })
  expect(await stranger.call('knocks', { count: 200 })).toBe(0)

  const handshake = await cpuOf(HANDSHAKES, async () => friend.call('handshakes', { count: HANDSHAKES }))
  const attempt = await cpuOf(ATTEMPTS, async () => stranger.call('knocks', { count: ATTEMPTS }))
  console.log(
    `${handshake.toFixed(2)} ms a handshake, ${attempt.toFixed(3)} ms an attempt: ${(attempt / handshake).toFixed(3)}`
  )
  expect(attempt).toBeLessThan(handshake * SHARE)
})
