import { createECDH, createPrivateKey, createPublicKey } from 'node:crypto'
import { generateKeyPair, privateKeyFromRaw, privateKeyToProtobuf } from '@libp2p/crypto/keys'
import { P2pError, shown } from '../errors.ts'
import { invalidKey } from './errors.ts'
import { readRawKey } from './raw-key.ts'
import { rsaProblem } from './rsa.ts'
import type { KeyType, NodePrivateKey, PrivateKeyInput } from './types.ts'
import type { PrivateKey } from '@libp2p/interface'

const GENERATED_RSA_BITS = 2_048

const ED25519_SEED_BYTES = 32
const ED25519_RAW_BYTES = 64
const SECP256K1_RAW_BYTES = 32

/** What precedes the seed in an Ed25519 key's PKCS#8. Source: RFC 8410, section 7. */
const ED25519_PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex')

/**
 * A new private key, as the protobuf bytes that every libp2p implementation reads.
 *
 * @param type - RSA keys have 2,048 bits. @default 'Ed25519'
 * @throws {P2pError} ERR_INVALID_OPTION for another type
 */
export async function generatePrivateKey(type: KeyType = 'Ed25519'): Promise<Uint8Array> {
  if (type !== 'Ed25519' && type !== 'secp256k1' && type !== 'RSA') {
    throw new P2pError(
      'ERR_INVALID_OPTION',
      `Invalid key type ${shown(type)}: wanted 'Ed25519', 'secp256k1' or 'RSA'`
    )
  }
  return toProtobuf(await generateKeyPair(type, GENERATED_RSA_BITS))
}

/**
 * Any accepted form of a private key as libp2p protobuf bytes, in memory of their own: what crosses to the
 * runtime thread.
 *
 * @throws {P2pError} ERR_INVALID_KEY as `peerIdFromPrivateKey`
 */
export function privateKeyBytes(key: PrivateKeyInput): Uint8Array {
  return toProtobuf(decodePrivateKey(key))
}

/**
 * The peer ID that a node with this key has, in base58btc: `12D3Koo…` (Ed25519), `16Uiu2…` (secp256k1) or
 * `Qm…` (RSA).
 *
 * @throws {P2pError} ERR_INVALID_KEY if the key is in none of the accepted forms, damaged, or of numbers that do not make
 * a key; or an RSA key of under 2,048 or above 8,191 bits. The message never contains anything of the key.
 */
export function peerIdFromPrivateKey(key: PrivateKeyInput): string {
  return decodePrivateKey(key).publicKey.toString()
}

/**
 * A private key as libp2p's own object.
 *
 * @throws {P2pError} ERR_INVALID_KEY as `peerIdFromPrivateKey`
 */
export function decodePrivateKey(key: PrivateKeyInput): NodePrivateKey {
  const { type, raw: given, form } = readRawKey(key)
  const raw = type === 'Ed25519' ? withoutRepetition(given) : given
  const problem = PROBLEM_OF[type](raw)
  if (problem !== undefined) throw invalidKey(form, problem)
  // libp2p tells the types apart by their lengths, which have just been checked: never an ECDSA key
  return privateKeyFromRaw(raw) as NodePrivateKey
}

/** Old keys of go-libp2p and js-libp2p have the public key twice, and both still read them. */
function withoutRepetition(raw: Uint8Array): Uint8Array {
  const [once, again] = [raw.subarray(ED25519_SEED_BYTES, ED25519_RAW_BYTES), raw.subarray(ED25519_RAW_BYTES)]
  return Buffer.compare(once, again) === 0 ? raw.subarray(0, ED25519_RAW_BYTES) : raw
}

/** What is wrong with the numbers of a key, if anything. libp2p's decoder looks at little more than lengths. */
const PROBLEM_OF: Record<KeyType, (raw: Uint8Array) => string | undefined> = {
  Ed25519: raw => {
    if (raw.length !== ED25519_RAW_BYTES) return `wanted a seed and a public key, 64 bytes, not ${raw.length}`
    const seed = raw.subarray(0, ED25519_SEED_BYTES)
    const pkcs8 = Buffer.concat([ED25519_PKCS8_PREFIX, seed])
    const privateKey = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' })
    const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' })
    const publicKey = raw.subarray(ED25519_SEED_BYTES)
    return spki.subarray(-publicKey.length).equals(publicKey)
      ? undefined
      : 'its public key is not that of its private key'
  },
  secp256k1: raw => {
    if (raw.length !== SECP256K1_RAW_BYTES) return `wanted a scalar of 32 bytes, not ${raw.length}`
    try {
      createECDH('secp256k1').setPrivateKey(raw)
      return undefined
    } catch {
      return 'the scalar is zero or not below the order of the curve'
    }
  },
  RSA: rsaProblem
}

/** A copy: what libp2p returns may be a view of a larger buffer, or of the key object's own bytes. */
function toProtobuf(key: PrivateKey): Uint8Array {
  return Uint8Array.from(privateKeyToProtobuf(key))
}
