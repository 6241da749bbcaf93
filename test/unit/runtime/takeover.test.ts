import { expect, it } from 'vitest'
import { BOB } from '../allow-list/names.ts'
import { frame, message, turn } from '../protocol/support.ts'
import { FakeNetwork } from './fakes.ts'

it('a connection that replaces another of the same peer is told behind what was in flight on that', async () => {
  const network = new FakeNetwork()
  const first = network.accept(BOB)
  network.peers.open(BOB).outbox.send(frame(message(0)))
  await turn()
  first.answer(true)
  await turn()
  network.accept(BOB)
  await turn()
  expect(network.events).toMatchObject([
    { type: 'Connected' },
    { type: 'Disconnected', code: 'replaced' },
    { type: 'Connected' }
  ])
  expect(network.statuses).toEqual([{ outcome: 'connection-lost', count: 1 }])
  expect(network.toldAtStatus).toEqual([1])
})

it('the second connection of a simultaneous dial is not told, nor the end of either', async () => {
  for (const which of [0, 1]) {
    const network = new FakeNetwork()
    await network.dialBoth(BOB)
    network.links[which]!.abort({ code: 'remote-closed', reason: 'superfluous' })
    await turn()
    expect(network.events.map(({ type }) => type)).toEqual(['Connected'])
    // What is left is what a restart replaces.
    network.clock.advance(3_000_000)
    network.accept(BOB)
    expect(network.events.map(({ type }) => type)).toEqual(['Connected', 'Disconnected', 'Connected'])
  }
})

it('two that replace each other again and again are reported once, until they stop', () => {
  const network = new FakeNetwork()
  const errors = (): number => network.events.filter(({ type }) => type === 'Error').length
  for (let i = 0; i < 3; i++) network.accept(BOB)
  expect(errors()).toBe(0)
  for (let i = 0; i < 50; i++) {
    network.accept(BOB)
    network.clock.advance(1_000)
  }
  expect(network.events.find(({ type }) => type === 'Error')).toMatchObject({
    code: 'ERR_NOT_ALLOWED',
    peerId: BOB,
    ip: '127.0.0.1'
  })
  expect(errors()).toBe(1)
  network.clock.advance(60_000)
  for (let i = 0; i < 2; i++) network.accept(BOB)
  expect(errors()).toBe(1)
  network.accept(BOB)
  expect(errors()).toBe(2)
})

it('three takeovers in a minute are reported, not three in more', () => {
  for (const [laterMs, reported] of [
    [59_999, 1],
    [60_000, 0]
  ] as const) {
    const network = new FakeNetwork()
    for (let i = 0; i < 3; i++) network.accept(BOB)
    network.clock.advance(laterMs)
    network.accept(BOB)
    expect(network.events.filter(({ type }) => type === 'Error')).toHaveLength(reported)
  }
})
