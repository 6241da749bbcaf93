import { expect, test } from 'vitest'
import { servePings } from '../../../src/libp2p/ping.ts'
import { TestStream, turn } from '../protocol/support.ts'

const PING_BYTES = 32

function ping(number: number): Uint8Array {
  return new Uint8Array(PING_BYTES).fill(number)
}

function served(): TestStream {
  const stream = new TestStream()
  servePings(stream, () => true)
  return stream
}

test('a peer that lets its answers wait is not read meanwhile, and is read again each time it has taken them', async () => {
  const stream = served()
  for (let round = 0; round < 5; round++) {
    stream.room = 10
    stream.receive(ping(round))
    await turn()
    expect(stream.flowing).toBe(false)
    stream.grant(PING_BYTES)
    await turn()
    expect(stream.flowing).toBe(true)
  }
  expect(stream.leftBytes).toEqual(new Uint8Array(Buffer.concat([0, 1, 2, 3, 4].map(ping))))
})

test('what comes while it is not read is answered then, though that makes it wait again', async () => {
  const stream = served()
  stream.room = 10
  stream.receive(ping(1))
  stream.receive(ping(2))
  await turn()
  stream.grant(PING_BYTES)
  await turn()
  expect(stream.leftBytes.length).toBe(10 + PING_BYTES)
  expect(stream.flowing).toBe(false)
  stream.receive(ping(3))
  stream.grant(1_000)
  await turn()
  expect(stream.flowing).toBe(true)
  expect(stream.leftBytes).toEqual(new Uint8Array(Buffer.concat([1, 2, 3].map(ping))))
})

test('a peer that ends its writing while its answers wait still gets them', async () => {
  const stream = served()
  stream.room = 10
  stream.receive(ping(1))
  stream.receiveEnd()
  await turn()
  stream.grant(1_000)
  await turn()
  expect(stream.leftBytes).toEqual(ping(1))
  expect(stream.wasEnded).toBe(true)
})
