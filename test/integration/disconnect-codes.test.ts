/** Every way a connection ends, by its code: what a program switches on. `silent` and `replaced` stand with their own tests. */
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import type { DisconnectCode } from 'bitvmx-p2p'
import { expect, test } from 'vitest'
import { PROTOCOL, startBarePeer } from '../support/bare-peer.ts'
import { connectLocal, portOf, startLocal } from '../support/local-node.ts'
import type { LocalNode } from '../support/local-node.ts'
import { startTcpServer } from '../support/strangers.ts'

async function codeAt(node: LocalNode): Promise<DisconnectCode> {
  const { code, reason } = await node.event({ type: 'Disconnected' })
  expect(reason).not.toBe('')
  return code
}

async function pair(): Promise<[LocalNode, LocalNode]> {
  const [alice, bob] = await Promise.all([startLocal(), startLocal()])
  await connectLocal(alice, bob)
  return [alice, bob]
}

test.each([
  ['parted', ['remote-closed'], 'parts', (alice, bob) => void alice.p2p.sender.disconnectFrom(bob.peerId)],
  ['stopped', ['remote-closed'], 'is stopped', alice => alice.p2p.stop()],
  // The goodbye and the reset that follows it race.
  ['removed', ['remote-closed', 'lost'], 'removes the other', alice => alice.p2p.allowList.replace([])]
] satisfies Array<[DisconnectCode, DisconnectCode[], string, (alice: LocalNode, bob: LocalNode) => void]>)(
  '%s here, and one of %j there, when one %s',
  async (here, there, _, end) => {
    const [alice, bob] = await pair()
    end(alice, bob)
    expect(await codeAt(alice)).toBe(here)
    expect(there).toContain(await codeAt(bob))
  }
)

test('lost when the connection is reset under both', async () => {
  const [alice, bob] = await Promise.all([startLocal(), startLocal()])
  const sockets: Socket[] = []
  const address = await startTcpServer(socket => {
    const onward = connect(portOf(bob), '127.0.0.1').on('error', () => {})
    sockets.push(socket, onward)
    socket.pipe(onward).pipe(socket)
  })
  alice.dial(bob, address)
  await Promise.all([alice.event({ type: 'Connected' }), bob.event({ type: 'Connected' })])
  for (const socket of sockets) socket.resetAndDestroy()
  expect([await codeAt(alice), await codeAt(bob)]).toEqual(['lost', 'lost'])
})

test('protocol when what comes is no negotiation, barred when a bucket is empty', async () => {
  const alice = await startLocal({ rateLimit: { capacity: 1, refillPerSecond: 0 } })
  const bare = await startBarePeer()
  const connection = await bare.connect(alice)
  await alice.event({ type: 'Connected' })
  const muxed = await connection.newStream(PROTOCOL)
  // A length that is not the minimal varint takes the only token, and ends the stream.
  muxed.send(Uint8Array.of(0x81, 0x00))
  await new Promise(resolve => muxed.addEventListener('close', resolve, { once: true }))
  expect(alice.count({ type: 'Disconnected' })).toBe(0)
  const another = await connection.newStream(PROTOCOL)
  another.send(Uint8Array.of(0x81, 0x00))
  expect(await codeAt(alice)).toBe('barred')
  await alice.event({ type: 'ConnectionLimit', peerId: bare.peerId, cause: 'malformed-message' })

  const patient = await startLocal()
  const raw = await (await startBarePeer()).connect(patient)
  await patient.event({ type: 'Connected' })
  // Below the muxer's streams: a frame of a version that there is not.
  const { muxer } = raw as unknown as {
    muxer: { source?: unknown; maConn: { send: (data: Uint8Array) => boolean } }
  }
  muxer.maConn.send(new Uint8Array(12).fill(0xff))
  expect(await codeAt(patient)).toBe('protocol')
})
