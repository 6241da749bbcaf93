import type { P2pEvent } from 'bitvmx-p2p'
import { beforeAll, expect, it } from 'vitest'
import { connect, startNode } from '../support/node-process.ts'
import type { NodeProcess } from '../support/node-process.ts'

/** Sends messages whose one byte counts from `first`, and waits until the remote's receiver channel has them. */
async function sendNumbers(from: NodeProcess, to: NodeProcess, first: number, count: number): Promise<void> {
  await from.run(
    ({ p2p, event }, given) => {
      const ids = Array.from({ length: given.count }, (_, i) =>
        p2p.sender.sendMsg(given.to, Uint8Array.of(given.first + i))
      )
      for (const id of ids) event({ type: 'Status', id, ok: true })
    },
    { to: to.peerId, first, count }
  )
}

let alice: NodeProcess
let bob: NodeProcess

beforeAll(async () => {
  ;[alice, bob] = await Promise.all([startNode(), startNode()])
  await connect(alice, bob)
})

it('every way of reading takes from the one buffer, in its order, and none takes what another took', async () => {
  await sendNumbers(alice, bob, 0, 20)

  const taken = await bob.run(async ({ p2p: { receiver } }) => {
    const numbers: number[] = []
    const lengths: number[] = [receiver.length]
    const note = (...events: Array<P2pEvent | undefined>): void => {
      for (const event of events) numbers.push(event?.type === 'Data' ? event.data[0]! : -1)
      lengths.push(receiver.length)
    }
    note(receiver.tryRecv())
    note(receiver.recv())
    note(receiver.recv(0))
    note(await receiver.recvAsync())
    note(...receiver.drain(3))
    note(...receiver.drain(0))
    // Several that await at once are served in the order in which they asked.
    note(...(await Promise.all([receiver.recvAsync(), receiver.recvAsync(), receiver.recvAsync()])))
    for await (const event of receiver) {
      note(event)
      if (numbers.length === 12) break
    }
    for await (const event of receiver) {
      note(event)
      note(receiver.tryRecv())
      if (numbers.length === 16) break
    }
    note(...receiver.drain())
    return { numbers, lengths, more: [receiver.tryRecv(), receiver.recv(0), receiver.drain()] }
  })

  expect(taken.numbers).toEqual(Array.from({ length: 20 }, (_, i) => i))
  expect(taken.lengths).toEqual([20, 19, 18, 17, 16, 13, 13, 10, 9, 8, 7, 6, 5, 4, 0])
  expect(taken.more).toEqual([undefined, undefined, []])
})

it('recv waits as long as it is told to and no longer than until the next event', async () => {
  const { waited, event } = await bob.run(({ p2p: { receiver } }) => {
    const begin = performance.now()
    return { event: receiver.recv(300), waited: performance.now() - begin }
  })
  expect(event).toBeUndefined()
  expect(waited).toBeGreaterThanOrEqual(299)
  expect(waited).toBeLessThan(2_000)

  const reading = bob.run(({ p2p: { receiver } }) => {
    const begin = performance.now()
    return { event: receiver.recv(20_000), waited: performance.now() - begin }
  })
  await sendNumbers(alice, bob, 7, 1)
  const read = await reading
  expect(read.event).toMatchObject({ type: 'Data', peerId: alice.peerId, data: Uint8Array.of(7) })
  expect(read.waited).toBeLessThan(10_000)
})

it('recvAsync wakes for an event, and an abort takes the waiting caller away without losing one', async () => {
  const outcome = await bob.run(async ({ p2p: { receiver, sender } }, peerId) => {
    const controller = new AbortController()
    const aborted = receiver.recvAsync({ signal: controller.signal }).catch((err: unknown) => err)
    const second = receiver.recvAsync({ signal: new AbortController().signal })
    controller.abort(new Error('enough'))
    const early = await receiver.recvAsync({ signal: AbortSignal.abort() }).catch((err: unknown) => err)
    // Only now is there anything to receive: the answer to a message.
    const id = sender.sendMsg(peerId, new Uint8Array(3))
    return {
      aborted: String(await aborted),
      early: String(early),
      second: await second,
      id,
      left: receiver.length
    }
  }, alice.peerId)

  expect(outcome.aborted).toBe('Error: enough')
  expect(outcome.early).toMatch(/^AbortError/)
  expect(outcome.second).toMatchObject({ type: 'Status', id: outcome.id, ok: true })
  expect(outcome.left).toBe(0)
})

it('a caller that awaits and one that polls share what comes', async () => {
  const mixed = bob.run(async ({ p2p: { receiver } }) => {
    const numbers: number[] = []
    const take = (event: P2pEvent | undefined): void => {
      if (event?.type === 'Data') numbers.push(event.data[0]!)
      else if (event !== undefined) throw new Error(`an unexpected ${event.type}`)
    }
    const awaiting = (async () => {
      while (numbers.length < 200) take(await receiver.recvAsync({ signal: AbortSignal.timeout(10_000) }))
    })()
    // Turns of the event loop between the looks, in which the other one may be served.
    while (numbers.length < 199) {
      take(receiver.tryRecv())
      await new Promise(resolve => setImmediate(resolve))
      take(receiver.recv(1))
    }
    await Promise.race([awaiting, new Promise(resolve => setTimeout(resolve, 5_000))])
    return numbers
  })
  await sendNumbers(alice, bob, 0, 200)

  // What one of them has been given and not yet looked at can be passed by the other: so the set, not the order.
  expect((await mixed).sort((a, b) => a - b)).toEqual(Array.from({ length: 200 }, (_, i) => i))
})

it('after stop the channels are closed, and what was buffered can still be read', async () => {
  const carol = await startNode()
  await connect(alice, carol)
  await sendNumbers(alice, carol, 0, 3)

  const end = await carol.run(async ({ p2p }) => {
    const { receiver, priority, runtime } = p2p
    const before = [receiver.closed, priority.closed, runtime.state]
    p2p.stop()
    p2p.stop()
    await runtime.closed
    const after = [receiver.closed, priority.closed, runtime.state]
    const events: string[] = []
    for await (const event of receiver) events.push(event.type)
    const nothing = [receiver.recv(), receiver.tryRecv(), await receiver.recvAsync(), priority.recv()]
    let refused: unknown
    try {
      p2p.sender.sendMsg('12D3KooWGzBoSqr1u9sHyYmPPPLKNPGGMyNXLdLGkyT9Lo3vSNWN', new Uint8Array(1))
    } catch (err) {
      refused = (err as { code: string }).code
    }
    return { before, after, events, nothing, refused, length: receiver.length }
  })

  expect(end.before).toEqual([false, false, 'running'])
  expect(end.after).toEqual([true, true, 'stopped'])
  expect(end.events).toEqual(['Data', 'Data', 'Data', 'Disconnected'])
  expect(end.nothing).toEqual([undefined, undefined, undefined, undefined])
  expect(end.refused).toBe('ERR_CLOSED')
  expect(end.length).toBe(0)
})
