import { expect, it } from 'vitest'
import type { Link } from '../../../src/libp2p/link.ts'
import { Peers } from '../../../src/runtime/peers.ts'
import type { PeersInit } from '../../../src/runtime/peers.ts'
import { ALICE, BOB } from '../allow-list/names.ts'
import { FakeClock } from '../protocol/support.ts'

function peersTelling(told: string[]): Peers {
  const init = {
    self: ALICE,
    clock: new FakeClock(),
    limits: {
      ackTimeoutMs: 10_000,
      messageTimeoutMs: 30_000,
      maxMessageBytes: 1_000,
      handshakeTimeoutMs: 5_000
    },
    events: {
      introduce: () => 0,
      retire: () => {},
      control: ({ type }: { type: string }) => told.push(type)
    },
    claimDials: () => [],
    cancelDials: () => {}
  }
  return new Peers(init as unknown as PeersInit)
}

it('parts from a peer on every connection, also when one of them ends at once', () => {
  const told: string[] = []
  const peers = peersTelling(told)
  const closed: string[] = []
  const connect = (direction: 'inbound' | 'outbound', endsAtOnce: boolean): void => {
    const link = {
      peerId: BOB,
      direction,
      address: '/ip4/127.0.0.1/tcp/4001',
      admitted: true,
      open: true,
      begunAt: direction === 'inbound' ? 0 : undefined,
      openedAt: 0,
      messageStreams: 0,
      lastUsedAt: 0,
      carries: () => false,
      unanswered: false,
      confirmAlive: async () => true,
      close: async () => {
        closed.push(direction)
        link.open = false
        if (endsAtOnce) peers.closed(link as unknown as Link)
      }
    }
    peers.opened(link as unknown as Link)
  }
  connect('outbound', true)
  connect('inbound', false)
  peers.disconnect(BOB)
  expect(closed).toEqual(['outbound', 'inbound'])
  expect(told).toEqual(['Connected', 'Disconnected'])
})
