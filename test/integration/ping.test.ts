/** libp2p's ping, which this module answers though it asks for none (docs/decisions/0011). */
import type { Connection } from '@libp2p/interface'
import { expect, test } from 'vitest'
import { startBarePeer } from '../support/bare-peer.ts'
import type { BarePeer } from '../support/bare-peer.ts'
import { startLocal } from '../support/local-node.ts'
import type { LocalNode } from '../support/local-node.ts'

const PING = '/ipfs/ping/1.0.0'

async function connected(): Promise<{ node: LocalNode; bare: BarePeer; connection: Connection }> {
  const node = await startLocal()
  const bare = await startBarePeer()
  const connection = await bare.connect(node)
  await node.event({ type: 'Connected', peerId: bare.peerId })
  return { node, bare, connection }
}

/** Opens a stream for pings and gives what comes back on it, so many bytes. */
async function echo(connection: Connection, pieces: Uint8Array[]): Promise<Buffer> {
  const wanted = pieces.reduce((sum, { length }) => sum + length, 0)
  const stream = await connection.newStream(PING)
  let got = Buffer.alloc(0)
  await new Promise<void>((resolve, reject) => {
    stream.addEventListener('message', ({ data }) => {
      got = Buffer.concat([got, data.subarray()])
      if (got.length >= wanted) resolve()
    })
    stream.addEventListener('close', () => reject(new Error(`closed after ${got.length} bytes`)))
    for (const piece of pieces) stream.send(piece)
  })
  await stream.close()
  return got
}

test('pings come back as they are, one or many, in whatever pieces', async () => {
  const { node, connection } = await connected()
  const bytes = Buffer.from(Array.from({ length: 20 * 32 }, (_, i) => i & 0xff))
  expect(await echo(connection, [bytes.subarray(0, 32)])).toEqual(bytes.subarray(0, 32))
  expect(await echo(connection, [bytes])).toEqual(bytes)
  expect(await echo(connection, [bytes.subarray(0, 5), bytes.subarray(5, 100), bytes.subarray(100)])).toEqual(
    bytes
  )
  expect((await node.p2p.runtime.inspectAsync()).buckets).toEqual([])
})

test('a flood of them costs a token and ends the connection', async () => {
  const { node, bare, connection } = await connected()
  await expect(echo(connection, [Buffer.alloc(32 * 4_000)])).rejects.toThrow(/closed|reset/)
  await node.event({ type: 'Disconnected', peerId: bare.peerId })
  const { buckets } = await node.p2p.runtime.inspectAsync()
  expect(buckets).toMatchObject([
    { peerId: bare.peerId, debits: [{ cause: 'protocol-abuse', evidence: 'a flood of pings', cost: 1 }] }
  ])
})
