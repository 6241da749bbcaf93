import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { publicKeyToProtobuf } from '@libp2p/crypto/keys'
import { describe, expect, test } from 'vitest'
import * as allowList from '../../src/allow-list/index.ts'
import { P2pError } from '../../src/errors.ts'
import * as framing from '../../src/framing/index.ts'
import * as identity from '../../src/identity/index.ts'

/** A short message in hex, a longer one by its digest. */
type Told = string | { length: number; sha256: string }

interface Vectors {
  frames: Array<{ name: string; hex: string; limit: number; messages: Told[]; fault: string | null }>
  acks: Array<{ name: string; hex: string; statuses: number[]; fault: string | null }>
  keys: Array<{ type: string; privateKeyHex: string; publicKeyHex: string; peerId: string; keyHash: string }>
  allowLists: Array<{ name: string; yaml: string; entries?: allowList.AllowListContent; error?: string }>
}

const fixtures = new URL('../fixtures/', import.meta.url)
const text = readFileSync(new URL('vectors.json', fixtures), 'utf8')
const vectors = JSON.parse(text) as Vectors

const { faultOf } = (await import(new URL('faults.mjs', fixtures).href)) as {
  faultOf: (reason: string | undefined) => string | null
}

/** Hands over the bytes of `hex` in pieces of this size. */
function feed(hex: string, size: number, push: (piece: Uint8Array) => unknown): void {
  const bytes = Buffer.from(hex, 'hex')
  for (let at = 0; at < bytes.length; at += size) push(bytes.subarray(at, at + size))
}

/** The payloads of a run of whole frames. Reads lengths itself, so as not to ask the code under test. */
function payloads(run: Buffer, count: number): Buffer[] {
  const found: Buffer[] = []
  for (let at = 0; found.length < count;) {
    let length = 0
    for (let shift = 0, more = true; more; shift += 7) {
      const byte = run[at++]!
      length |= (byte & 0x7f) << shift
      more = byte >= 0x80
    }
    found.push(run.subarray(at, at + length))
    at += length
  }
  return found
}

function told(message: Buffer, as: Told | undefined): Told {
  if (typeof as === 'string') return message.toString('hex')
  return { length: message.length, sha256: createHash('sha256').update(message).digest('hex') }
}

const PIECES = [1, 2, 3, 127, 16_384, 100_000]

describe('frames', () => {
  test.each(vectors.frames)('$name', ({ hex, limit, messages, fault }) => {
    for (const size of PIECES) {
      const found: Buffer[] = []
      const decoder = new framing.FrameDecoder(limit, run => {
        found.push(...payloads(Buffer.concat(run.parts), run.count))
      })
      feed(hex, size, piece => decoder.push(piece))
      const end = decoder.end()
      expect(end?.kind === 'too-large' ? 'too-large' : faultOf(end?.reason)).toBe(fault)
      expect(found.map((message, at) => told(message, messages[at]))).toEqual(messages)
    }
  })
})

describe('acks', () => {
  test.each(vectors.acks)('$name', ({ hex, statuses, fault }) => {
    for (const size of PIECES) {
      const found: number[] = []
      const decoder = new framing.AckDecoder((status, count) => {
        found.push(...Array.from({ length: count }, () => status))
        return true
      })
      feed(hex, size, piece => decoder.push(piece))
      expect(faultOf(decoder.end())).toBe(fault)
      expect(found).toEqual(statuses)
    }
  })
})

describe('keys', () => {
  test.each(vectors.keys)('$type $peerId', ({ privateKeyHex, publicKeyHex, peerId, keyHash, type }) => {
    const { publicKey } = identity.decodePrivateKey(privateKeyHex)
    expect(publicKey.type).toBe(type)
    expect(Buffer.from(publicKeyToProtobuf(publicKey)).toString('hex')).toBe(publicKeyHex)
    expect(identity.peerIdFromPrivateKey(privateKeyHex)).toBe(peerId)
    expect(identity.canonicalPeerId(peerId)).toBe(peerId)
    expect(identity.publicKeyHash(privateKeyHex)).toBe(keyHash)
    expect(identity.publicKeyHashOf(publicKey)).toBe(keyHash)
  })
})

describe('allow lists', () => {
  test.each(vectors.allowLists)('$name', ({ yaml, entries, error }) => {
    const read = (): allowList.AllowListContent => allowList.parseAllowList(yaml)
    if (error === undefined) expect(read()).toEqual(entries)
    else expect(read).toThrow(expect.objectContaining({ name: P2pError.name, code: error }) as Error)
  })
})

test('the file is what its generator writes, and small', async () => {
  const generator = (await import(new URL('generate-vectors.mjs', fixtures).href)) as {
    vectorsText(rooms: object): string
  }
  expect(generator.vectorsText({ framing, identity, allowList })).toBe(text)
  expect(text.length).toBeLessThan(100_000)
})
