import '../../../src/node/polyfill.ts'
import { yamux } from '@chainsafe/libp2p-yamux'
import type { MessageStream, StreamMuxer } from '@libp2p/interface'
import { multiaddrConnectionPair } from '@libp2p/utils'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Conduct } from '../../../src/node/conduct.ts'
import { guardMuxer } from '../../../src/node/muxer-guard.ts'
import { FakeClock, turn } from '../protocol/support.ts'

const Flag = { syn: 1 }
const Type = { data: 0, windowUpdate: 1, ping: 2, goAway: 3 }

interface Header {
  type: number
  flag?: number
  streamId?: number
  length?: number
}

/** Messages that may be in flight, and the answers that may wait beside them. */
const IN_FLIGHT_BYTES = 4 * 1024 * 1024
const ANSWERS_BYTES = 8 * 1024 * 1024
/** A frame that waits is counted with what its keeping costs. */
const FRAME_COST_BYTES = 256

interface Scene {
  clock: FakeClock
  muxer: StreamMuxer
  /** Below the muxer, on this side. */
  connection: MessageStream
  /** The far end says so many equal frames, in one piece. */
  hears: (header: Header, count?: number) => void
  /** What the guard has told. */
  goodbyes: () => number
  /** Why the connection has ended, once it has. */
  ended: () => Error | undefined
}

/** A frame; that of data has a body of zeros. */
function encode({ type, flag = 0, streamId = 0, length = 0 }: Header): Buffer {
  const header = Buffer.alloc(12 + (type === Type.data ? length : 0))
  header[1] = type
  header.writeUInt16BE(flag, 2)
  header.writeUInt32BE(streamId, 4)
  header.writeUInt32BE(length, 8)
  return header
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
    maxInFlightBytes: IN_FLIGHT_BYTES,
    conductOf: () => conduct,
    stream: () => () => true,
    remoteStream: () => {},
    goneAway: () => goodbyes++
  }).createStreamMuxer(connection)
  muxer.addEventListener('stream', () => {})
  const input = connection as unknown as { onData: (data: Uint8Array) => void }
  const hears = (header: Header, count = 1): void => {
    const frames = Buffer.concat(Array.from({ length: count }, () => encode(header)))
    input.onData(frames)
  }
  return { clock, muxer, connection, hears, goodbyes: () => goodbyes, ended: () => ended }
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

test('one goodbye is heard; more are frames without content, of which there may be so many', () => {
  const { hears, goodbyes, ended } = open()
  hears({ type: Type.goAway }, 16_385)
  expect(goodbyes()).toBe(1)
  expect(ended()).toBeUndefined()
  hears({ type: Type.goAway }, 1)
  expect(ended()).toMatchObject({ name: 'AbuseError', message: 'a flood of muxer frames without content' })
  expect(goodbyes()).toBe(1)
})

describe('data for a stream that this side has reset', () => {
  const WINDOW_BYTES = 256 * 1024
  const IDLE_FRAMES = 16_384

  /** The far end opens a stream, and this side resets it. */
  function reset({ muxer, hears }: Scene, streamId: number): void {
    hears({ type: Type.windowUpdate, flag: Flag.syn, streamId })
    muxer.streams[0]!.abort(new Error('no more of it'))
  }

  test('may have been under way: a window of it costs nothing, in frames of whatever size', () => {
    const scene = open()
    reset(scene, 2)
    for (let i = 0; i < 4; i++) scene.hears({ type: Type.data, streamId: 2, length: 1 }, WINDOW_BYTES / 4)
    scene.hears({ type: Type.data, streamId: 2, length: 1 }, IDLE_FRAMES)
    expect(scene.ended()).toBeUndefined()
    scene.hears({ type: Type.data, streamId: 2, length: 1 })
    expect(scene.ended()).toMatchObject({ name: 'AbuseError' })
  })

  test('counts when it is empty, or when so many streams have been reset since that it is forgotten', () => {
    const scene = open()
    for (let i = 1; i <= 321; i++) reset(scene, 2 * i)
    scene.hears({ type: Type.data, streamId: 2 * 321, length: 0 }, IDLE_FRAMES / 2)
    scene.hears({ type: Type.data, streamId: 2, length: 1 }, IDLE_FRAMES / 2)
    scene.hears({ type: Type.data, streamId: 4, length: 1 })
    expect(scene.ended()).toBeUndefined()
    scene.hears({ type: Type.data, streamId: 2, length: 1 })
    expect(scene.ended()).toMatchObject({ name: 'AbuseError' })
  })
})

describe('output that the far end does not read', () => {
  /** Answers to pings that wait, so many, at a rate that costs nothing. */
  function answer({ clock, hears }: Scene, count: number): void {
    for (let i = 0; i < count; i++) {
      clock.advance(1_000 / 16)
      hears({ type: Type.ping, flag: Flag.syn, length: i })
    }
  }

  const bearable = Math.floor((IN_FLIGHT_BYTES + ANSWERS_BYTES) / FRAME_COST_BYTES)

  test('may grow to what can be in flight and some answers beside it, and then ends the connection', () => {
    const scene = open()
    scene.connection.send = () => false
    answer(scene, bearable)
    expect(scene.ended()).toBeUndefined()
    answer(scene, 1)
    expect(scene.ended()).toMatchObject({ name: 'AbuseError', message: /does not read/ })
  })

  test('may be of any size in all while the far end reads now and then', () => {
    const scene = open()
    scene.connection.send = () => false
    for (let i = 0; i < 3; i++) {
      answer(scene, bearable)
      scene.connection.dispatchEvent(new Event('drain'))
    }
    expect(scene.ended()).toBeUndefined()
  })

  test('is not what the connection takes at once', () => {
    const scene = open()
    scene.connection.send = () => true
    answer(scene, 2 * bearable)
    expect(scene.ended()).toBeUndefined()
  })
})
