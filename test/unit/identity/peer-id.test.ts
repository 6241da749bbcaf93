import { createECDH } from 'node:crypto'
import { generateKeyPair, publicKeyToProtobuf } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey, peerIdFromString } from '@libp2p/peer-id'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { canonicalPeerId } from '../../../src/identity/index.ts'
import { base36, base58, errorOf } from './support.ts'

const IDENTITY = 0x00
const SHA256 = 0x12

const multihash = (code: number, digest: ArrayLike<number>): Uint8Array =>
  Uint8Array.of(code, digest.length, ...Array.from(digest))
/** A CIDv1 of the libp2p-key content type, in base36. */
const cidOf = (hash: Uint8Array): string => base36(Uint8Array.of(0x01, 0x72, ...hash))
const identityOf = (bytes: ArrayLike<number>): string => base58(multihash(IDENTITY, bytes))
const ed25519Protobuf = (key: Uint8Array): number[] => [0x08, 0x01, 0x12, 0x20, ...key]

const DIGEST = new Uint8Array(32).fill(7)
const ED25519 = ed25519Protobuf(DIGEST)
const URL_BYTES = new TextEncoder().encode('https://example.com')
const ECDSA = await generateKeyPair('ECDSA')
const UNCOMPRESSED = createECDH('secp256k1').generateKeys()

const refused = (text: unknown): string => errorOf(() => canonicalPeerId(text), 'ERR_INVALID_PEER_ID').message

describe('canonicalPeerId', () => {
  test.each(['Ed25519', 'secp256k1', 'RSA'] as const)(
    'gives the same base58btc text for every form of the peer ID of a key of type %s',
    async type => {
      const peerId = peerIdFromPrivateKey(await generateKeyPair(type, 2048))
      const cid = peerId.toCID()
      expect(canonicalPeerId(peerId.toString())).toBe(peerId.toString())
      expect(canonicalPeerId(cid.toString())).toBe(peerId.toString())
      expect(canonicalPeerId(cidOf(cid.multihash.bytes))).toBe(peerId.toString())
    }
  )

  test('takes the longest form there is, a secp256k1 key as a base32 CIDv1', async () => {
    const peerId = peerIdFromPrivateKey(await generateKeyPair('secp256k1'))
    const text = peerId.toCID().toString()
    expect(text).toHaveLength(67)
    expect(canonicalPeerId(text)).toBe(peerId.toString())
  })

  test.each([undefined, null, 7, {}, [], new Uint8Array(34), Symbol('id'), new String('12D3KooW')])(
    'refuses a value that is no text: %s',
    value => {
      expect(refused(value)).toContain('wanted the peer ID of an Ed25519, secp256k1 or RSA key')
    }
  )

  test.each([
    '',
    ' ',
    '1',
    'Q',
    'Qm',
    'bafz',
    'k51qzi5uqu5',
    'z12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq',
    '12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3p',
    '12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq ',
    ' 12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq',
    '12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq\0',
    '12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pO',
    '/p2p/12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R',
    '__proto__'
  ])('refuses %j, and names it', text => {
    expect(refused(text)).toContain(`'${text}'`)
  })

  test('refuses a long text at once, and does not repeat it: it may be a private key', () => {
    const message = refused('1'.repeat(10_000_000))
    expect(message).toContain('a text of 10000000 characters')
    expect(message.length).toBeLessThan(300)
    const hexKey = `08021220${'ab'.repeat(32)}`
    expect(refused(hexKey)).not.toContain('abab')
  })

  test.each<[string, string]>([
    ['the peer ID of a URL', identityOf(URL_BYTES)],
    ['the CID of a URL peer ID', base36(Uint8Array.of(0x01, 0xa0, 0x12, ...multihash(IDENTITY, URL_BYTES)))],
    ['the CID of other content', base36(Uint8Array.of(0x01, 0x55, ...multihash(SHA256, DIGEST)))],
    ['a CID of another version', base36(Uint8Array.of(0x02, 0x72, ...multihash(SHA256, DIGEST)))],
    ['a digest in base36 that is no CID', base36(multihash(SHA256, DIGEST))],
    ['an empty digest', base58(multihash(SHA256, []))],
    ['a digest of 31 bytes', base58(multihash(SHA256, DIGEST.subarray(1)))],
    ['a digest of 33 bytes', base58(multihash(SHA256, [...DIGEST, 1]))],
    ['a digest of 31 bytes in a CID', cidOf(multihash(SHA256, DIGEST.subarray(1)))],
    ['a digest with a byte too many', base58(Uint8Array.of(...multihash(SHA256, DIGEST), 1))],
    ['a digest whose hash code takes two bytes', base58(Uint8Array.of(0x92, 0x00, 32, ...DIGEST))],
    ['a digest whose length takes two bytes', base58(Uint8Array.of(SHA256, 0xa0, 0x00, ...DIGEST))],
    ['a digest by another hash', base58(multihash(0x13, DIGEST))],
    ['a digest by another hash in a CID', cidOf(multihash(0x1b, DIGEST))],
    ['a key with a field too many', identityOf([...ED25519, 0x18, 0x01])],
    ['a key with its fields the other way round', identityOf([...ED25519.slice(2), 0x08, 0x01])],
    ['a key with two types', identityOf([0x08, 0x00, ...ED25519])],
    ['a key whose type takes two bytes', identityOf([0x08, 0x81, 0x00, ...ED25519.slice(2)])],
    ['a key cut short', identityOf(ED25519.slice(0, -1))],
    ['a key type without a key', identityOf(ED25519.slice(0, 2))],
    ['no key', identityOf([])],
    ['a secp256k1 key off the curve', identityOf([0x08, 0x02, 0x12, 33, 0x02, ...DIGEST.map(() => 0xff)])],
    ['an uncompressed secp256k1 key', identityOf([0x08, 0x02, 0x12, 65, ...UNCOMPRESSED])],
    ['an ECDSA key', identityOf(publicKeyToProtobuf(ECDSA.publicKey))],
    ['an RSA key that is not hashed', identityOf([0x08, 0x00, 0x12, 0x00])]
  ])('refuses %s: no handshake ends in it', (_what, text) => {
    expect(refused(text)).toContain('Invalid peer ID')
  })

  test('refuses only what is wrong with those', () => {
    expect(canonicalPeerId(base58(multihash(SHA256, DIGEST)))).toMatch(/^Qm/)
    expect(canonicalPeerId(cidOf(multihash(SHA256, DIGEST)))).toMatch(/^Qm/)
    expect(canonicalPeerId(identityOf(ED25519))).toMatch(/^12D3KooW/)
  })

  test('gives a text that is its own canonical form, or refuses, for whatever bytes', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 48 }),
      fc.uint8Array({ minLength: 32, maxLength: 32 }).map(key => multihash(IDENTITY, ed25519Protobuf(key))),
      fc.uint8Array({ minLength: 31, maxLength: 33 }).map(digest => multihash(SHA256, digest))
    )
    const text = fc.oneof(fc.string({ maxLength: 80 }), bytes.map(base58), bytes.map(cidOf))
    const property = fc.property(text, given => {
      let canonical: string
      try {
        canonical = canonicalPeerId(given)
      } catch {
        errorOf(() => canonicalPeerId(given), 'ERR_INVALID_PEER_ID')
        return
      }
      expect(canonicalPeerId(canonical)).toBe(canonical)
      expect(peerIdFromString(canonical).toString()).toBe(canonical)
    })
    fc.assert(property, { seed: 20_260_101, numRuns: 2_000 })
  })
})
