import '../../../src/node/polyfill.ts'
import { randomBytes } from 'node:crypto'
import { noise } from '@chainsafe/libp2p-noise'
import { Uint8ArrayList } from 'uint8arraylist'
import { describe, expect, it } from 'vitest'
import { tuneCiphers } from '../../../src/node/records.ts'

type Bytes = Uint8Array | Uint8ArrayList

interface Ciphers {
  encrypt: (plaintext: Bytes, nonce: Uint8Array, ad: Uint8Array, key: Uint8Array) => Bytes
  decrypt: (ciphertext: Bytes, nonce: Uint8Array, ad: Uint8Array, key: Uint8Array) => Bytes
}

function ciphers(tune: boolean): Ciphers {
  const components = { logger: { forComponent: () => () => {} } }
  const encrypter = noise()(components as unknown as Parameters<ReturnType<typeof noise>>[0])
  if (tune) tuneCiphers(encrypter)
  return (encrypter as unknown as { crypto: Ciphers }).crypto
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
