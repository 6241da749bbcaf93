import '../../../src/libp2p/polyfill.ts'
import { yamux } from '@chainsafe/libp2p-yamux'
import type { MessageStream, StreamMuxer } from '@libp2p/interface'
import { multiaddrConnectionPair } from '@libp2p/utils'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Conduct } from '../../../src/libp2p/conduct.ts'
import { FairShare } from '../../../src/libp2p/fair-share.ts'
import { guardMuxer } from '../../../src/libp2p/muxer-guard.ts'
import type { PausableConnection } from '../../../src/libp2p/muxer-turns.ts'
import { FakeClock, turn } from '../protocol/support.ts'

const Flag = { syn: 1, ack: 2 }
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
  /** The far end says these bytes. */
  says: (bytes: Uint8Array) => void
  /** Whether what carries the connection is read. */
  isRead: () => boolean
  /** A message of the last stream that the far end has opened is whole. */
  served: () => void
  /** Whether our protocol has been named on all streams. */
  named: (value: boolean) => void
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
function open(fairShare = new FairShare(new FakeClock(), end => end())): Scene {
  const clock = new FakeClock()
  const conduct = new Conduct(clock)
  const [connection, far] = multiaddrConnectionPair()
  onTestFinished(() => {
    for (const end of [connection, far]) end.abort(new Error('over'))
  })
  let served: (() => void) | undefined
  let named = true
  let goodbyes = 0
  let ended: Error | undefined
  connection.addEventListener('close', ({ error }) => (ended = error))
  /** The connection is what carries it, too: only the pauses are told. */
  const below = {
    readStatus: 'readable',
    pause: () => (below.readStatus = 'paused'),
    resume: () => (below.readStatus = 'readable')
  }
  const muxer = guardMuxer(yamux({ enableKeepAlive: false })(), {
    maxDataBytes: 1_048_576,
    maxStreams: 320,
    maxInFlightBytes: IN_FLIGHT_BYTES,
    conductOf: () => conduct,
    fairShare,
    below: () => below as unknown as PausableConnection,
    stream: () => () => named,
    remoteStream: (_, uses) => (served = uses.served),
    goneAway: () => goodbyes++
  }).createStreamMuxer(connection)
  muxer.addEventListener('stream', () => {})
  const input = connection as unknown as { onData: (data: Uint8Array) => void }
  const says = (bytes: Uint8Array): void => input.onData(bytes)
  const hears = (header: Header, count = 1): void =>
    says(Buffer.concat(Array.from({ length: count }, () => encode(header))))
  const isRead = (): boolean => below.readStatus === 'readable'
  return {
    clock,
    muxer,
    connection,
    hears,
    says,
    isRead,
    served: () => served?.(),
    named: value => (named = value),
    goodbyes: () => goodbyes,
    ended: () => ended
  }
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

describe('frames that bring next to nothing', () => {
  const ALLOWED = 16_384
  const small = { type: Type.data, streamId: 2, length: 1 }
  const flood = { name: 'AbuseError', message: 'a flood of small muxer frames' }

  function withStream(): Scene {
    const scene = open()
    scene.hears({ type: Type.windowUpdate, flag: Flag.syn, streamId: 2 })
    return scene
  }

  test.each([1, 63])('of %i bytes: so many at once, and so many a second, make no message', length => {
    const scene = withStream()
    for (let i = 0; i < 4; i++) scene.hears({ ...small, length }, ALLOWED / 4)
    expect(scene.ended()).toBeUndefined()
    scene.clock.advance(1_000)
    scene.hears({ ...small, length }, 1_024)
    expect(scene.ended()).toBeUndefined()
    scene.hears({ ...small, length })
    expect(scene.ended()).toMatchObject(flood)
  })

  test('of 64 bytes are no such frames', () => {
    const scene = withStream()
    for (let i = 0; i < 20; i++) scene.hears({ ...small, length: 64 }, 1_000)
    expect(scene.ended()).toBeUndefined()
  })

  test('are free in any number when each message takes eight of them or less', () => {
    const scene = withStream()
    for (let i = 0; i < 5_000; i++) {
      scene.hears(small, (i % 8) + 1)
      scene.served()
    }
    expect(scene.ended()).toBeUndefined()
  })

  test('cost what they are beyond eight for a message', () => {
    const scene = withStream()
    for (let i = 0; i < ALLOWED / 2 - 4; i++) {
      scene.hears(small, 10)
      scene.served()
    }
    expect(scene.ended()).toBeUndefined()
    scene.hears(small, 9)
    expect(scene.ended()).toMatchObject(flood)
  })

  test('are acks on a stream of this side, once its protocol is agreed on', async () => {
    const scene = open()
    scene.named(false)
    await scene.muxer.createStream()
    await turn()
    scene.hears({ type: Type.windowUpdate, flag: Flag.ack, streamId: 1 })
    scene.hears({ ...small, streamId: 1 }, 5)
    scene.named(true)
    for (let i = 0; i < 3; i++) scene.hears({ ...small, streamId: 1, length: 2 }, ALLOWED)
    // What the negotiation took is given back.
    scene.hears({ type: Type.windowUpdate, flag: Flag.syn, streamId: 2 })
    scene.hears(small, ALLOWED)
    expect(scene.ended()).toBeUndefined()
    scene.hears(small)
    expect(scene.ended()).toMatchObject(flood)
  })
})

describe('more frames than there is time for', () => {
  /** Every look at the clock takes a tenth of what a connection has in a turn. */
  function hurried(): Scene & { turn: () => void; awake: () => boolean } {
    let now = 0
    const clock = { now: () => (now += 0.1), after: () => () => {} }
    let ends: Array<() => void> = []
    const scene = open(new FairShare(clock, end => ends.push(end)))
    return {
      ...scene,
      awake: () => ends.length > 0,
      turn: () => {
        const due = ends
        ends = []
        for (const end of due) end()
      }
    }
  }

  function bytesOf({ muxer }: Scene): number[] {
    const got: number[] = []
    muxer.streams[0]!.addEventListener('message', ({ data }) => got.push(...data.subarray()))
    return got
  }

  const data = (byte: number): Buffer => {
    const frame = encode({ type: Type.data, streamId: 2, length: 1 })
    frame[12] = byte
    return frame
  }

  test('are taken in several turns, in their order, and nothing is read meanwhile', () => {
    const scene = hurried()
    scene.hears({ type: Type.windowUpdate, flag: Flag.syn, streamId: 2 })
    const got = bytesOf(scene)
    const numbers = Array.from({ length: 10_000 }, (_, i) => i & 0xff)
    scene.says(Buffer.concat(numbers.slice(0, 9_000).map(data)))
    // The rest of the same read, in another record.
    scene.says(Buffer.concat(numbers.slice(9_000).map(data)))
    let turns = 0
    for (; scene.awake(); turns++) {
      expect(scene.isRead()).toBe(got.length === numbers.length)
      scene.turn()
    }
    expect(got).toEqual(numbers)
    expect(scene.isRead()).toBe(true)
    expect(turns).toBeGreaterThan(10)
  })

  test('are the same frames wherever they are cut', () => {
    for (const size of [1, 7, 11, 12, 13, 14, 40, 1_000]) {
      const scene = hurried()
      scene.hears({ type: Type.windowUpdate, flag: Flag.syn, streamId: 2 })
      const got = bytesOf(scene)
      const numbers = Array.from({ length: 500 }, (_, i) => i & 0xff)
      const bytes = Buffer.concat(numbers.map(data))
      for (let at = 0; at < bytes.length; at += size) scene.says(bytes.subarray(at, at + size))
      while (scene.awake()) scene.turn()
      expect(got, String(size)).toEqual(numbers)
    }
  })

  test('are for nobody behind a fault, and when the connection has ended', () => {
    const scene = hurried()
    scene.hears({ type: Type.windowUpdate, flag: Flag.syn, streamId: 2 })
    const got = bytesOf(scene)
    const frames = Array.from({ length: 2_000 }, () => data(7))
    frames[1_500] = encode({ type: 9, streamId: 2 })
    scene.says(Buffer.concat(frames))
    expect(scene.ended()).toBeUndefined()
    while (scene.awake()) scene.turn()
    expect(scene.ended()).toMatchObject({ message: 'Invalid frame type' })
    expect(got).toHaveLength(1_500)

    const other = hurried()
    other.hears({ type: Type.windowUpdate, flag: Flag.syn, streamId: 2 })
    const gone = bytesOf(other)
    other.says(Buffer.concat(Array.from({ length: 2_000 }, () => data(7))))
    const before = gone.length
    other.connection.abort(new Error('over'))
    while (other.awake()) other.turn()
    expect(gone).toHaveLength(before)
  })

  test('streams that are opened have little room in a turn, in however many records they come', () => {
    const scene = hurried()
    for (let i = 1; i <= 100; i++) scene.hears({ type: Type.windowUpdate, flag: Flag.syn, streamId: 2 * i })
    expect(scene.muxer.streams).toHaveLength(2)
    while (scene.awake()) scene.turn()
    expect(scene.muxer.streams).toHaveLength(100)
  })
})
