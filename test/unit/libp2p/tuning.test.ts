import '../../../src/libp2p/polyfill.ts'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { yamux } from '@chainsafe/libp2p-yamux'
import type { MessageStream, Stream, StreamMuxer } from '@libp2p/interface'
import { multiaddrConnectionPair } from '@libp2p/utils'
import { Uint8ArrayList } from 'uint8arraylist'
import { describe, expect, it, onTestFinished } from 'vitest'
import { tuneReads, tuneSocket, tuneStream } from '../../../src/libp2p/tuning.ts'
import { markDetachable, detach } from '../../../src/memory/detach.ts'

interface Header {
  type: number
  length: number
}

interface TappedMuxer extends StreamMuxer {
  sendFrame: (header: Header, data?: Uint8ArrayList) => boolean
}

const DATA = 0
const WINDOW_UPDATE = 1
const MIB = 1024 * 1024
/** Node 20 frees nothing early. */
const EARLY = 'transfer' in ArrayBuffer.prototype

async function turn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}

/** A stream between two muxers, tuned at both ends, and the frames that each side has sent. */
async function openStream(): Promise<{
  writer: Stream
  sent: Header[]
  answered: Header[]
  received: () => number
}> {
  const [near, far] = multiaddrConnectionPair()
  onTestFinished(() => near.abort(new Error('over')))
  const tapped = (connection: MessageStream): { muxer: StreamMuxer; headers: Header[] } => {
    const muxer = yamux({ enableKeepAlive: false })().createStreamMuxer(connection) as unknown as TappedMuxer
    const headers: Header[] = []
    const sendFrame = muxer.sendFrame.bind(muxer)
    muxer.sendFrame = (header, data) => {
      headers.push({ type: header.type, length: header.length })
      return sendFrame(header, data)
    }
    return { muxer, headers }
  }
  const [left, right] = [tapped(near), tapped(far)]
  let bytes = 0
  const accepted = new Promise<void>(resolve => {
    right.muxer.addEventListener('stream', ({ detail: stream }) => {
      tuneStream(stream)
      stream.addEventListener('message', ({ data }) => (bytes += data.byteLength))
      resolve()
    })
  })
  const writer = await left.muxer.createStream()
  tuneStream(writer)
  writer.send(new Uint8Array(1))
  await accepted
  while (bytes < 1) await turn()
  left.headers.length = 0
  return { writer, sent: left.headers, answered: right.headers, received: () => bytes - 1 }
}

describe('a tuned stream', () => {
  it('writes no frame above 128 KiB, whatever the window, and all its bytes arrive', async () => {
    const { writer, sent, received } = await openStream()
    const total = 8 * 1024 * 1024
    writer.send(new Uint8Array(total))
    while (received() < total) await turn()
    const frames = sent.filter(({ type }) => type === DATA)
    expect(Math.max(...frames.map(({ length }) => length))).toBeLessThanOrEqual(128 * 1024)
    expect(frames.reduce((sum, { length }) => sum + length, 0)).toBe(total)
  })

  it('opens its window when that is worth a frame, and so often that the writer is never stuck', async () => {
    const { writer, answered, received } = await openStream()
    const before = answered.length
    for (let i = 1; i <= 20_000; i++) {
      writer.send(new Uint8Array(100))
      if (i % 100 === 0) while (received() < i * 100) await turn()
    }
    const updates = answered.slice(before).filter(({ type }) => type === WINDOW_UPDATE)
    expect(updates.length).toBeGreaterThan(0)
    // 2,000,000 bytes, and at least 16 KiB for each update.
    expect(updates.length).toBeLessThanOrEqual(Math.floor(2_000_000 / (16 * 1024)))
  })
})

describe('a connection that writes together', () => {
  interface Writing {
    socket: Socket
    sendData: (data: Uint8ArrayList) => { sentBytes: number; canSendMore: boolean }
    sendReset: () => void
  }

  /** A connection that is a socket and little else, and all that arrives at its other end. */
  async function open(): Promise<{
    writing: Writing
    arrived: () => string
    writes: () => number
    ended: Promise<void>
    remote: Socket
  }> {
    const server = createServer()
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    const accepted = new Promise<Socket>(resolve => server.once('connection', resolve))
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
    onTestFinished(() => void socket.destroy())
    const remote = await accepted
    let text = ''
    remote.on('data', data => (text += data.toString('latin1')))
    const ended = new Promise<void>(resolve => {
      remote.on('error', () => {})
      remote.on('close', () => resolve())
    })
    let writes = 0
    for (const name of ['_write', '_writev'] as const) {
      const original = socket[name]!.bind(socket) as (...args: unknown[]) => void
      socket[name] = (...args: unknown[]) => {
        writes++
        original(...args)
      }
    }
    const writing: Writing = {
      socket,
      sendData: () => ({ sentBytes: 0, canSendMore: true }),
      sendReset: () => socket.resetAndDestroy()
    }
    tuneSocket(writing as unknown as MessageStream)
    return { writing, arrived: () => text, writes: () => writes, ended, remote }
  }

  const list = (...texts: string[]): Uint8ArrayList =>
    new Uint8ArrayList(...texts.map(text => Buffer.from(text)))

  it('says what a turn has to say with one write, in order', async () => {
    const { writing, arrived, writes } = await open()
    expect(writing.sendData(list('ab', 'c'))).toEqual({ sentBytes: 3, canSendMore: true })
    expect(writing.sendData(list('d', 'ef'))).toEqual({ sentBytes: 3, canSendMore: true })
    while (arrived().length < 6) await turn()
    expect(arrived()).toBe('abcdef')
    expect(writes()).toBe(1)
    writing.sendData(list('g'))
    while (arrived().length < 7) await turn()
    expect(writes()).toBe(2)
  })

  it('does not wait for the end of the turn when the socket is full', async () => {
    const { writing, arrived, writes } = await open()
    const size = 1024 * 1024
    expect(writing.sendData(list('x'.repeat(size)))).toEqual({ sentBytes: size, canSendMore: false })
    expect(writes()).toBe(1)
    while (arrived().length < size) await turn()
  })

  it.skipIf(!EARLY)('frees what the system has taken, when it has taken it', async () => {
    const { writing, arrived } = await open()
    const pieces = [1, 2, 3].map(value => markDetachable(new Uint8Array(4 * MIB).fill(value)))
    const kept = new Uint8Array(MIB).fill(4)
    writing.sendData(new Uint8ArrayList(...pieces, kept))
    const whole = (): boolean => pieces.every(({ length }) => length === 4 * MIB)
    // More than the system takes at once: none of it goes before all of it may.
    expect(whole()).toBe(true)
    while (writing.socket.writableLength > 0) {
      expect(whole()).toBe(true)
      await turn()
    }
    await turn()
    expect(pieces.map(({ length }) => length)).toEqual([0, 0, 0])
    expect(kept).toHaveLength(MIB)
    while (arrived().length < 13 * MIB) await turn()
    expect(new Set(arrived().slice(0, 4 * MIB))).toEqual(new Set(['\x01']))
    expect(new Set(arrived().slice(8 * MIB, 12 * MIB))).toEqual(new Set(['\x03']))
  })

  it.skipIf(!EARLY)('lets what it has read be freed', async () => {
    const { writing, remote } = await open()
    tuneReads(writing as unknown as MessageStream)
    const pieces: Buffer[] = []
    let bytes = 0
    writing.socket.on('data', piece => {
      pieces.push(piece)
      bytes += piece.length
    })
    // More than three quarters of what Node reads at once: Node 26 leaves that in memory that is longer.
    remote.write(new Uint8Array(50_000))
    while (bytes < 50_000) await turn()
    remote.write(new Uint8Array(MIB))
    while (bytes < 50_000 + MIB) await turn()
    const long = pieces.filter(({ length }) => length >= 8 * 1024)
    expect(long.length).toBeGreaterThan(0)
    for (const piece of long) detach(piece, 0)
    expect(long.filter(({ length }) => length > 0)).toEqual([])
  })

  it('says what it had to say before a reset', async () => {
    const { writing, arrived, ended } = await open()
    writing.sendData(list('last ', 'words'))
    writing.sendReset()
    await ended
    expect(arrived()).toBe('last words')
  })
})
