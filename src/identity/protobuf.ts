import { invalidKey } from './errors.ts'
import type { KeyType, RawKey } from './types.ts'

/** The KeyType enumeration of the libp2p peer ID specification. Its fourth, ECDSA, has no peer ID in js-libp2p. */
const KEY_TYPES: readonly KeyType[] = ['RSA', 'Ed25519', 'secp256k1']

const TYPE_TAG = 0x08
const DATA_TAG = 0x12
const TYPE_OFFSET = 1
const DATA_TAG_OFFSET = 2
const LENGTH_OFFSET = 3

/**
 * Reads libp2p's PrivateKey message: `08 type 12 length data`, both fields once, in this order, nothing after
 * them. The specification demands this one encoding of writers; libp2p's own reader also takes fields in any
 * order and number, and so bytes that were damaged.
 *
 * @throws {P2pError} ERR_INVALID_KEY
 */
export function readProtobuf(bytes: Uint8Array, given: string): RawKey {
  if (bytes[0] !== TYPE_TAG || (bytes.length > DATA_TAG_OFFSET && bytes[DATA_TAG_OFFSET] !== DATA_TAG)) {
    throw invalidKey(given, 'it is not the libp2p protobuf of a private key')
  }
  const form = `libp2p protobuf, ${given}`
  const typeCode = bytes[TYPE_OFFSET]
  const type = typeCode === undefined ? undefined : KEY_TYPES[typeCode]
  if (typeCode !== undefined && type === undefined) {
    throw invalidKey(form, `key type ${typeCode} is none of Ed25519, secp256k1 and RSA`)
  }
  const prefix = readLength(bytes)
  if (type === undefined || prefix === undefined) throw invalidKey(form, 'it is truncated or damaged')

  const there = bytes.length - prefix.end
  if (there !== prefix.length) {
    const what = there < prefix.length ? 'truncated' : 'followed by something else'
    throw invalidKey(form, `it is ${what}: it announces ${prefix.length} bytes of key and holds ${there}`)
  }
  return { type, raw: Uint8Array.from(bytes.subarray(prefix.end)), form: `${type} in a ${form}` }
}

/** The data field's length, a minimal varint of at most 3 bytes, and where it ends. */
function readLength(bytes: Uint8Array): { length: number; end: number } | undefined {
  let length = 0
  for (let i = 0; i < 3; i++) {
    const byte = bytes[LENGTH_OFFSET + i]
    if (byte === undefined || (i > 0 && byte === 0)) return undefined
    length |= (byte & 0x7f) << (7 * i)
    if (byte < 0x80) return { length, end: LENGTH_OFFSET + i + 1 }
  }
  return undefined
}
