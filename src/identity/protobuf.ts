import { invalidKey } from './errors.ts'
import type { KeyType, RawKey } from './types.ts'

/** By code in the libp2p peer ID specification. Its fourth type, ECDSA, has no peer ID in js-libp2p. */
const KEY_TYPES: readonly KeyType[] = ['RSA', 'Ed25519', 'secp256k1']

const TYPE_TAG = 0x08
const DATA_TAG = 0x12
const LENGTH_OFFSET = 3
const MAX_LENGTH_BYTES = 3

/**
 * Reads libp2p's PrivateKey message: `08 type 12 length data`, both fields once, in this order, nothing after
 * them. The specification demands this one encoding of writers. libp2p's own reader takes fields in any order
 * and number, and so takes bytes that were damaged.
 *
 * @throws {P2pError} ERR_INVALID_KEY
 */
export function readProtobuf(bytes: Uint8Array, given: string): RawKey {
  const [typeTag, typeCode, dataTag] = bytes
  if (typeTag === undefined || typeCode === undefined || dataTag === undefined) {
    throw invalidKey(given, 'it is too short for a key')
  }
  if (typeTag !== TYPE_TAG || dataTag !== DATA_TAG) {
    throw invalidKey(given, 'it is not the libp2p protobuf of a private key')
  }
  const type = KEY_TYPES[typeCode]
  if (type === undefined) {
    throw invalidKey(`libp2p protobuf, ${given}`, 'its key type is none of Ed25519, secp256k1 and RSA')
  }
  const form = `${type} in a libp2p protobuf, ${given}`
  const length = readLength(bytes)
  if (length === undefined) throw invalidKey(form, 'it is truncated or damaged')
  const rest = bytes.length - length.end
  if (rest < length.value) throw invalidKey(form, 'it is truncated')
  if (rest > length.value) throw invalidKey(form, 'something follows the key')
  // a copy, before anything is checked: the caller may clear its bytes, or share them with another thread
  return { type, raw: Uint8Array.from(bytes.subarray(length.end)), form }
}

/** The length of the data field, a minimal varint, and the offset where that varint ends. */
function readLength(bytes: Uint8Array): { value: number; end: number } | undefined {
  let value = 0
  for (let i = 0; i < MAX_LENGTH_BYTES; i++) {
    const byte = bytes[LENGTH_OFFSET + i]
    if (byte === undefined || (i > 0 && byte === 0)) return undefined
    value |= (byte & 0x7f) << (7 * i)
    if (byte < 0x80) return { value, end: LENGTH_OFFSET + i + 1 }
  }
  return undefined
}
