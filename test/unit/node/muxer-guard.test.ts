import '../../../src/node/polyfill.ts'
import { yamux } from '@chainsafe/libp2p-yamux'
import type { MessageStream, StreamMuxer } from '@libp2p/interface'
import { multiaddrConnectionPair } from '@libp2p/utils'
import { expect, onTestFinished, test } from 'vitest'
import { Conduct } from '../../../src/node/conduct.ts'
import { guardMuxer } from '../../../src/node/muxer-guard.ts'
import { FakeClock, turn } from '../protocol/support.ts'

interface Scene {
  clock: FakeClock
  muxer: StreamMuxer
  /** Below the muxer, on this side. */
  connection: MessageStream
  /** What the guard has told. */
  goodbyes: () => number
  /** Why the connection has ended, once it has. */
  ended: () => Error | undefined
}

/** A guarded muxer, and a far end that says nothing by itself. */
function open(): Scene {
  const clock = new FakeClock()
  const conduct = new Conduct(clock)
  const [connection, far] = multiaddrConnectionPair()
  onTestFinished(() => {
    for (const end of [connection, far]) end.abort(new Error('over'))
  })
  let goodbyes = 0
  let ended: Error | undefined
  connection.addEventListener('close', ({ error }) => (ended = error))
  const muxer = guardMuxer(yamux({ enableKeepAlive: false })(), {
    maxDataBytes: 1_048_576,
    maxStreams: 320,
    conductOf: () => conduct,
    stream: () => () => true,
    remoteStream: () => {},
    goneAway: () => goodbyes++
  }).createStreamMuxer(connection)
  return { clock, muxer, connection, goodbyes: () => goodbyes, ended: () => ended }
}

test('a connection that cannot be written to ends, though nobody waits for what was to be written', async () => {
  const { muxer, connection, ended } = open()
  connection.send = () => {
    throw new Error('no more nonces')
  }
  // Upstream writes the first frame of a stream from a microtask: an error thrown there would end the process.
  const stream = await muxer.createStream()
  await turn()
  expect(ended()).toMatchObject({ message: 'no more nonces' })
  expect(stream.status).not.toBe('open')
})
