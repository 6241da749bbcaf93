import { createHash, createPrivateKey, createPublicKey } from 'node:crypto'
import { generateKeyPair, publicKeyFromProtobuf, publicKeyToProtobuf } from '@libp2p/crypto/keys'
import { peerIdFromPublicKey } from '@libp2p/peer-id'
import { describe, expect, test } from 'vitest'
import {
  decodePrivateKey,
  generatePrivateKey,
  peerIdFromPrivateKey,
  publicKeyHash,
  publicKeyHashOf,
  publicKeyHashOfPeerId
} from '../../../src/identity/index.ts'
import type { KeyType } from '../../../src/identity/index.ts'
import { errorOf, fixture } from './support.ts'

/** `openssl pkey -in <name>.pem -pubout -outform DER | sha256sum` */
const OPENSSL: Array<[string, string]> = [
  ['ed25519', '709217fd7f4d079c884ffb6150e7a483208368cf746db9637e55a04218521050'],
  ['secp256k1', '72b9f99fd4df91cf86ad3e8ef58ccc6febc1d723ca1f6790a793a711191b2fc8'],
  ['secp256k1-sec1', '72b9f99fd4df91cf86ad3e8ef58ccc6febc1d723ca1f6790a793a711191b2fc8'],
  ['rsa-2048', '397e98aab6778e0d1ad522138591faa3bb986bdc4cf028e2cfe47de6d000e1fe'],
  ['rsa-2048-pkcs1', '397e98aab6778e0d1ad522138591faa3bb986bdc4cf028e2cfe47de6d000e1fe']
]

const KEY_TYPES: KeyType[] = ['Ed25519', 'secp256k1', 'RSA']

describe('the key hash', () => {
  test.each(OPENSSL)('of %s.pem is what openssl and sha256sum say', (name, hash) => {
    expect(publicKeyHash(fixture(name))).toBe(hash)
    const spki = createPublicKey(createPrivateKey(fixture(name))).export({ type: 'spki', format: 'der' })
    expect(createHash('sha256').update(spki).digest('hex')).toBe(hash)
  })

  test.each(KEY_TYPES)('of a remote with a key of type %s is the one its owner computes', async type => {
    const key = await generatePrivateKey(type)
    const sent = publicKeyToProtobuf(decodePrivateKey(key).publicKey)
    const received = publicKeyFromProtobuf(sent)
    expect(publicKeyHashOf(received)).toBe(publicKeyHash(key))
    expect(publicKeyHash(key)).toMatch(/^[0-9a-f]{64}$/)
  })

  test.each(['Ed25519', 'secp256k1'] as const)('of a key of type %s follows from its peer ID', async type => {
    const key = await generatePrivateKey(type)
    expect(publicKeyHashOfPeerId(peerIdFromPrivateKey(key))).toBe(publicKeyHash(key))
  })

  test('of an RSA key does not follow from its peer ID', () => {
    expect(publicKeyHashOfPeerId(peerIdFromPrivateKey(fixture('rsa-2048')))).toBeUndefined()
  })

  test('of what is no peer ID is refused', () => {
    expect(errorOf(() => publicKeyHashOfPeerId('Qm'), 'ERR_INVALID_PEER_ID').message).toContain("'Qm'")
  })

  test('of a key that cannot be used is refused', () => {
    expect(errorOf(() => publicKeyHash(fixture('p-256')), 'ERR_INVALID_KEY').message).toContain('prime256v1')
  })

  test('is withheld from an RSA key in a made-up encoding, by which one owner could have many peer IDs', () => {
    const { publicKey } = decodePrivateKey(fixture('rsa-2048'))
    const spki = publicKey.raw
    const sent = Uint8Array.of(0x08, 0x00, 0x12, 0xa7, 0x02, ...spki, 0x02)
    const received = publicKeyFromProtobuf(sent)
    // libp2p reads the same key, and gives it another peer ID
    expect(received.raw).toEqual(spki)
    expect(peerIdFromPublicKey(received).toString()).not.toBe(publicKey.toString())
    expect(publicKeyHashOf(received)).toBeUndefined()
  })

  test('is withheld from an ECDSA key, which has no peer ID', async () => {
    const { publicKey } = await generateKeyPair('ECDSA')
    expect(publicKeyHashOf(publicKey)).toBeUndefined()
  })
})
