import { P2p, generatePrivateKey } from 'bitvmx-p2p'
import type { Stream } from '@libp2p/interface'
import { expect, test } from 'vitest'
import { startBarePeer } from '../support/bare-peer.ts'
import { connectLocal, startLocal } from '../support/local-node.ts'

test('a stop that drains gives what was handed over its real outcome, dials included', async () => {
  const [alice, bob, carol] = await Promise.all([startLocal(), startLocal(), startLocal()])
  await connectLocal(alice, bob)
  const ids = Array.from({ length: 1_000 }, () => alice.sendMsg(bob, new Uint8Array(10_000)))
  const dial = alice.dial(carol)
  ids.push(alice.sendMsg(carol, Buffer.from('behind a dial')))
  alice.p2p.stop({ drainMs: 60_000 })
  expect(alice.p2p.runtime.state).toBe('stopping')
  for (const command of [() => alice.sendMsg(bob, new Uint8Array(1)), () => alice.dial(bob)]) {
    expect(command).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }))
  }
  await alice.p2p.runtime.closed
  await alice.event({ type: 'Connected', id: dial })
  for (const id of ids) expect(await alice.event({ type: 'Status', id })).toMatchObject({ ok: true })
  await alice.event({ type: 'Disconnected', peerId: bob.peerId, code: 'stopped' })
  await bob.event({ type: 'Disconnected', peerId: alice.peerId, code: 'remote-closed' })
  expect(bob.count({ type: 'Data' })).toBe(1_000)
})

test('a stop that drains still takes what peers send meanwhile', async () => {
  const alice = await startLocal()
  const streams: Stream[] = []
  const bare = await startBarePeer({ onStream: stream => void streams.push(stream) })
  const connection = await bare.connect(alice)
  await alice.event({ type: 'Connected', peerId: bare.peerId })
  const id = alice.sendMsg(bare, Buffer.from('to be answered'))
  await expect.poll(() => streams.length).toBe(1)
  alice.p2p.stop({ drainMs: 60_000 })
  const stream = await connection.newStream('/bitvmx/comms/1.0.0')
  stream.send(Uint8Array.of(1, 7))
  const { data } = await alice.event({ type: 'Data' })
  expect([...data]).toEqual([7])
  streams[0]!.send(Uint8Array.of(1, 0))
  await alice.event({ type: 'Status', id, ok: true })
  await alice.p2p.runtime.closed
})

test.for([
  ['its time', 300, false],
  ['a stop that does not wait', 600_000, true]
] as const)('a stop that drains ends with %s: what is left is stopped', async ([, drainMs, hurry]) => {
  const alice = await startLocal()
  const bare = await startBarePeer()
  await bare.connect(alice)
  await alice.event({ type: 'Connected', peerId: bare.peerId })
  const id = alice.sendMsg(bare, Buffer.from('never answered'))
  alice.p2p.stop({ drainMs })
  alice.p2p.stop({ drainMs })
  if (hurry) for (let i = 0; i < 3; i++) alice.p2p.stop()
  await alice.p2p.runtime.closed
  await alice.event({ type: 'Status', id, ok: false, reason: 'stopped' })
})

test.each([-1, 1.5, 2 ** 31, Number.NaN, '5', null])(
  'drainMs: %o is refused, and nothing stops',
  async drainMs => {
    const alice = await startLocal()
    if (drainMs !== null) {
      const stop = (): void => alice.p2p.stop({ drainMs: drainMs as number })
      expect(stop).toThrow(expect.objectContaining({ code: 'ERR_INVALID_OPTION' }))
    }
    expect(() => alice.p2p.stop(null as unknown as undefined)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_OPTION' })
    )
    expect(alice.p2p.runtime.state).toBe('running')
  }
)

test('is stopped at the end of a block, and awaited if that is awaited', async () => {
  const p2p = P2p.start('127.0.0.1:0', await generatePrivateKey())
  p2p[Symbol.dispose]()
  expect(p2p.runtime.state).not.toBe('running')
  await p2p[Symbol.asyncDispose]()
  expect(p2p.runtime.state).toBe('stopped')
})
