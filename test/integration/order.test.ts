import { once } from 'node:events'
import { expect, it } from 'vitest'
import { PROTOCOL, startBarePeer } from '../support/bare-peer.ts'
import { frame } from '../support/frames.ts'
import { startNode } from '../support/node-process.ts'

it('a peer that sends before it has answered the dialling side is heard after Connected, not before', async () => {
  const alice = await startNode()
  const acknowledged = new EventTarget()
  const bare = await startBarePeer({
    hold: once(acknowledged, 'yes'),
    onConnection: async connection => {
      const stream = await connection.newStream(PROTOCOL)
      stream.addEventListener('message', () => acknowledged.dispatchEvent(new Event('yes')))
      stream.send(frame(Buffer.from('hello')))
    }
  })

  const heard = await alice.run(
    ({ p2p }, { peerId, address }) => {
      p2p.sender.dial(peerId, address)
      return [p2p.receiver.recv(10_000), p2p.receiver.recv(10_000)]
    },
    { peerId: bare.peerId, address: bare.addresses[0]! }
  )
  expect(heard).toMatchObject([
    { type: 'Connected', peerId: bare.peerId, direction: 'outbound' },
    { type: 'Data', peerId: bare.peerId }
  ])
  // The dial has come true with that; no second Connected, and messages go the other way, too.
  expect(await alice.run(({ p2p }) => p2p.receiver.recv(200))).toBeUndefined()
})
