import '../../../src/libp2p/polyfill.ts'
import { randomBytes } from 'node:crypto'
import { noise } from '@chainsafe/libp2p-noise'
import type { ConnectionEncrypter, MessageStream } from '@libp2p/interface'
import { multiaddrConnectionPair } from '@libp2p/utils'
import { Uint8ArrayList } from 'uint8arraylist'
import { describe, expect, it, onTestFinished } from 'vitest'
import { decodePrivateKey, generatePrivateKey } from '../../../src/identity/index.ts'
import { tuneCiphers, tuneRecords } from '../../../src/libp2p/noise-records.ts'
import { markDetachable } from '../../../src/memory/detach.ts'

type Bytes = Uint8Array | Uint8ArrayList

interface Ciphers {
  encrypt: (plaintext: Bytes, nonce: Uint8Array, ad: Uint8Array, key: Uint8Array) => Bytes
  decrypt: (ciphertext: Bytes, nonce: Uint8Array, ad: Uint8Array, key: Uint8Array) => Bytes
}

function encrypterOf(components: object, tune = true): ConnectionEncrypter {
  const logger = { forComponent: () => () => {} }
  const encrypter = noise()({ logger, ...components } as unknown as Parameters<ReturnType<typeof noise>>[0])
  if (tune) tuneCiphers(encrypter)
  return encrypter
}

function ciphers(tune: boolean): Ciphers {
  return (encrypterOf({}, tune) as unknown as { crypto: Ciphers }).crypto
}

const ours = ciphers(true)
const upstreams = ciphers(false)

/** The same bytes in pieces, as they come from muxers and sockets. */
function inPieces(bytes: Uint8Array, ...at: number[]): Uint8ArrayList {
  const cuts = [0, ...at.filter(cut => cut < bytes.length), bytes.length]
  return new Uint8ArrayList(...cuts.slice(1).map((end, i) => bytes.subarray(cuts[i], end)))
}

/** A copy: short records are opened in their own memory. */
function copy(bytes: Bytes): Uint8Array {
  return new Uint8Array(bytes.subarray())
}

const key = randomBytes(32)
const nonce = randomBytes(12)
const sizes = [0, 1, 100, 495, 496, 511, 512, 513, 1_199, 1_200, 16_384, 65_519]

describe.each([
  ['without associated data', new Uint8Array(0)],
  ['with associated data', new Uint8Array(randomBytes(32))]
])('records %s', (_, ad) => {
  it.each(sizes)('of %i bytes are what upstream makes of them, whole and in pieces', size => {
    const plaintext = new Uint8Array(randomBytes(size))
    const expected = copy(upstreams.encrypt(plaintext, nonce, ad, key))
    expect(copy(ours.encrypt(plaintext, nonce, ad, key))).toEqual(expected)
    expect(copy(ours.encrypt(inPieces(plaintext, 12, 500), nonce, ad, key))).toEqual(expected)
    expect(copy(ours.decrypt(copy(expected), nonce, ad, key))).toEqual(plaintext)
    // Cut before, in and behind the tag's first byte.
    for (const cut of [size - 1, size, size + 1, 700]) {
      expect(copy(ours.decrypt(inPieces(copy(expected), cut), nonce, ad, key))).toEqual(plaintext)
    }
  })

  it.each(sizes)('of %i bytes are refused when a single bit is another', size => {
    const sealed = copy(ours.encrypt(new Uint8Array(randomBytes(size)), nonce, ad, key))
    for (const at of [0, sealed.length >> 1, sealed.length - 16, sealed.length - 1]) {
      const damaged = copy(sealed)
      damaged[at]! ^= 0x10
      expect(() => ours.decrypt(damaged, nonce, ad, key)).toThrow(/authenticate|Invalid/)
      expect(() => ours.decrypt(inPieces(damaged, 300, 1_000), nonce, ad, key)).toThrow(
        /authenticate|Invalid/
      )
    }
    expect(() => ours.decrypt(copy(sealed), randomBytes(12), ad, key)).toThrow(/authenticate|Invalid/)
    expect(() => ours.decrypt(copy(sealed), nonce, ad, randomBytes(32))).toThrow(/authenticate|Invalid/)
  })

  it('of two keys are told apart', () => {
    const other = randomBytes(32)
    const plaintext = new Uint8Array(randomBytes(2_000))
    const first = copy(ours.encrypt(plaintext, nonce, ad, key))
    const second = copy(ours.encrypt(plaintext, nonce, ad, other))
    expect(second).not.toEqual(first)
    expect(copy(upstreams.decrypt(second, nonce, ad, other))).toEqual(plaintext)
    expect(copy(upstreams.decrypt(first, nonce, ad, key))).toEqual(plaintext)
  })
})

describe('a tuned connection', () => {
  /** Two ends of an encrypted connection. What comes to the far one is in pieces as the test cuts them. */
  async function open(): Promise<{
    near: MessageStream
    received: Uint8ArrayList[]
    errors: string[]
    waiting: () => number
    deliver: (...lengths: number[]) => Uint8Array[]
  }> {
    const [left, right] = multiaddrConnectionPair()
    onTestFinished(() => left.abort(new Error('over')))
    const identities = await Promise.all([generatePrivateKey(), generatePrivateKey()])
    const [taker, giver] = identities.map(bytes => encrypterOf({ privateKey: decodePrivateKey(bytes) }))
    const [far, near] = await Promise.all([
      taker!.secureInbound(left, { skipStreamMuxerNegotiation: true }),
      giver!.secureOutbound(right, { skipStreamMuxerNegotiation: true })
    ])
    tuneRecords(far.connection)
    const received: Uint8ArrayList[] = []
    const errors: string[] = []
    far.connection.addEventListener('message', ({ data }) => received.push(new Uint8ArrayList(data)))
    far.connection.addEventListener('close', ({ error }) => errors.push(String(error?.message)))
    const arriving = left as unknown as { onData: (data: Bytes) => void }
    const onData = arriving.onData.bind(left)
    const waiting: Bytes[] = []
    arriving.onData = data => waiting.push(copy(data))
    /** Delivers what has been written, in pieces of these lengths and the rest, each in memory of its own. */
    const deliver = (...lengths: number[]): Uint8Array[] => {
      let all = Buffer.concat(waiting.splice(0) as Uint8Array[])
      const pieces: Uint8Array[] = []
      for (const length of [...lengths, all.length]) {
        if (all.length > 0) pieces.push(markDetachable(new Uint8Array(all.subarray(0, length))))
        all = all.subarray(length)
      }
      pieces.forEach(onData)
      return pieces
    }
    const bytesWaiting = (): number => waiting.reduce((sum, { byteLength }) => sum + byteLength, 0)
    return { near: near.connection, received, errors, waiting: bytesWaiting, deliver }
  }

  const turn = async (): Promise<void> => new Promise(resolve => setImmediate(resolve))
  const RECORD_HEADER_BYTES = 2
  const TAG_BYTES = 16

  it.each([
    ['in one piece', []],
    ['cut in the short ones', [50]],
    ['cut in the long one', [30_000]],
    ['cut behind the long one', [3 * (RECORD_HEADER_BYTES + 100 + TAG_BYTES) + RECORD_HEADER_BYTES + 60_000]],
    ['cut again and again', Array.from({ length: 8 }, () => 9_000)]
  ])('keeps no piece and loses no record, short or long, %s', async (_, cuts) => {
    const { near, received, waiting, deliver } = await open()
    const records = [100, 100, 100, 60_000, 40_000, 100, 9_000].map(size => new Uint8Array(randomBytes(size)))
    // One by one: what waits together becomes one record.
    for (const record of records) if (!near.send(record)) await near.onDrain()
    const wireBytes = records.reduce((sum, { length }) => sum + RECORD_HEADER_BYTES + length + TAG_BYTES, 0)
    while (waiting() < wireBytes) await turn()
    const pieces = deliver(...cuts)
    // All of it is held on to, as by a stream whose reading is paused.
    expect(Buffer.concat(received.map(copy)).equals(Buffer.concat(records))).toBe(true)
    const left = pieces.filter(({ buffer }) => buffer.byteLength >= 8 * 1024)
    if ('transfer' in ArrayBuffer.prototype) expect(left).toEqual([])
  })

  it.each([0, 1, 15])('ends over a record of %i bytes', async length => {
    const { near, received, errors, waiting, deliver } = await open()
    const raw = (near as unknown as { stream: MessageStream }).stream
    raw.send(new Uint8Array([0, length, ...new Uint8Array(length)]))
    while (waiting() < RECORD_HEADER_BYTES + length) await turn()
    deliver()
    await turn()
    expect(errors).toEqual([expect.stringContaining(`a Noise record of ${length} bytes`)])
    expect(received).toEqual([])
  })
})
