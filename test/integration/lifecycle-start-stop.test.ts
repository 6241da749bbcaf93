import { generatePrivateKey, P2p } from 'bitvmx-p2p'
import type { P2pEvent } from 'bitvmx-p2p'
import { expect, test } from 'vitest'
import {
  bareAddress,
  connectLocal,
  launchLocal,
  portOf,
  startLocal,
  stopLocal
} from '../support/local-node.ts'
import { collectGarbage } from '../support/garbage.ts'
import { LONG } from '../support/node-process.ts'
import { eventually, handleCount, listenersAt, residentMiB, threadCount } from '../support/proc.ts'

const CYCLES = LONG ? 1_000 : 12
/** Cycles after which everything that is made once has been made. */
const WARM_UP = LONG ? 50 : 2
const MAX_GROWTH_MIB = LONG ? 50 : 150

test(
  `${CYCLES} cycles of start, connect, talk and stop on the same port leave nothing behind`,
  { timeout: LONG ? 3_600_000 : 120_000 },
  async () => {
    const key = await generatePrivateKey()
    const bob = await startLocal()
    let listen = '127.0.0.1:0'
    let threads = 0
    let handles = 0
    let memory = 0
    for (let cycle = 1; cycle <= CYCLES; cycle++) {
      const alice = await launchLocal({ key, listen })
      listen = bareAddress(alice)
      await connectLocal(...(cycle % 2 === 0 ? ([alice, bob] as const) : ([bob, alice] as const)))
      const id = alice.sendMsg(bob, Buffer.alloc(100_000, cycle))
      await alice.event({ type: 'Status', id, ok: true })
      await bob.event({ type: 'Data', peerId: alice.peerId })
      await stopLocal(alice)
      await bob.event({ type: 'Disconnected', peerId: alice.peerId })
      // What bob has seen is the test's, and not what is weighed.
      bob.forget()

      expect(listenersAt(portOf(alice))).toBe(0)
      if (LONG && cycle % 50 === 0) {
        await collectGarbage()
        console.log(
          `cycle ${cycle}: ${threadCount()} threads, ${handleCount()} handles, ${residentMiB()} MiB`
        )
      }
      if (cycle === WARM_UP) {
        await collectGarbage()
        threads = threadCount()
        handles = handleCount()
        memory = residentMiB()
      } else if (cycle > WARM_UP) {
        await eventually('no more threads than before', () => threadCount() <= threads)
        await eventually('no more handles than before', () => handleCount() <= handles)
      }
    }
    await collectGarbage()
    expect(residentMiB() - memory).toBeLessThan(MAX_GROWTH_MIB)
  }
)

test('start, stop and start again on the same port need no turn of the event loop', async () => {
  const key = await generatePrivateKey()
  const threads = threadCount()
  let listen = '127.0.0.1:0'
  const ended: Array<Promise<void>> = []
  for (let cycle = 0; cycle < 3; cycle++) {
    const p2p = P2p.start(listen, key)
    listen = p2p.addresses[0]!
    expect(p2p.runtime.state).toBe('running')
    p2p.stop()
    const events: P2pEvent[] = []
    // Blocks until the channel has ended and is empty.
    for (let event = p2p.receiver.recv(); event !== undefined; event = p2p.receiver.recv()) events.push(event)
    expect(p2p.receiver.closed).toBe(true)
    expect(p2p.runtime.state).toBe('stopped')
    expect(events).toEqual([])
    ended.push(p2p.runtime.closed)
  }
  await Promise.all(ended)
  await eventually('no more threads than before', () => threadCount() <= threads)
})

test('several nodes live side by side in one thread that never yields', async () => {
  const keys = await Promise.all(Array.from({ length: 3 }, async () => generatePrivateKey()))
  const nodes = keys.map(key => P2p.start('127.0.0.1:0', key, { allowList: 'allow-all' }))
  const [alice, bob, carol] = nodes as [P2p, P2p, P2p]
  alice.sender.dial(bob.peerId, bob.addresses[0]!)
  carol.sender.dial(bob.peerId, bob.addresses[0]!)
  expect([bob.receiver.recv(30_000), bob.receiver.recv(30_000)]).toMatchObject([
    { type: 'Connected' },
    { type: 'Connected' }
  ])
  expect(alice.receiver.recv(30_000)).toMatchObject({ type: 'Connected', id: 1 })
  expect(carol.receiver.recv(30_000)).toMatchObject({ type: 'Connected', id: 1 })
  bob.sender.sendMsg(carol.peerId, Buffer.from('hello'))
  expect(carol.receiver.recv(30_000)).toMatchObject({ type: 'Data', peerId: bob.peerId })
  expect(bob.receiver.recv(30_000)).toMatchObject({ type: 'Status', ok: true })
  bob.stop()
  expect(alice.receiver.recv(30_000)).toMatchObject({ type: 'Disconnected', peerId: bob.peerId })
  expect(carol.receiver.recv(30_000)).toMatchObject({ type: 'Disconnected', peerId: bob.peerId })
  for (const node of nodes) node.stop()
  await Promise.all(nodes.map(async node => node.runtime.closed))
})
