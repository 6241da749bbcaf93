/**
 * Noise records, sealed and opened with less work than upstream does (docs/decisions/0012). What goes over the wire is
 * the same.
 */
import { createCipheriv, createDecipheriv, createSecretKey } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import type { ConnectionEncrypter, MessageStream } from '@libp2p/interface'
import { Uint8ArrayList } from 'uint8arraylist'
import { eachPart, markDetachable, detach } from '../memory/index.ts'

type Bytes = Uint8Array | Uint8ArrayList

/** Longest Noise record; as a length, it is also more than what is there when its two bytes are not. */
const MAX_RECORD_BYTES = 65_535
/** From this length on OpenSSL is faster than WebAssembly, which upstream uses for short records. */
const MIN_NATIVE_BYTES = 512
/** Noise specification, "Cipher functions": ChaChaPoly. */
const CIPHER = 'chacha20-poly1305'
const TAG_BYTES = 16
const OPTIONS = { authTagLength: TAG_BYTES }

/** The parts of upstream's Noise that are used here. */
interface Noise extends ConnectionEncrypter {
  crypto: {
    encrypt: (plaintext: Bytes, nonce: Uint8Array, ad: Uint8Array, key: Uint8Array) => Bytes
    decrypt: (
      ciphertext: Bytes,
      nonce: Uint8Array,
      ad: Uint8Array,
      key: Uint8Array,
      dst?: Uint8Array
    ) => Bytes
  }
}

/** The parts of upstream's encrypted connection that are used here. */
interface EncryptedConnection extends MessageStream {
  decoder: { lengthDecoder: (data: Uint8ArrayList) => number }
  handshake: { decrypt: (record: Uint8ArrayList, dst?: Uint8Array) => Bytes }
  decrypt: (record: Uint8ArrayList) => Bytes
}

/**
 * Has records of some length sealed and opened with keys that were made once. Upstream hands over raw bytes for each
 * record, of which Node makes a key every time; Node 24 throws and catches an error over it.
 */
export function tuneCiphers(encrypter: ConnectionEncrypter): void {
  const noise = encrypter as Noise
  const { crypto } = noise
  const keys = new WeakMap<Uint8Array, KeyObject>()
  const keyOf = (bytes: Uint8Array): KeyObject => {
    let key = keys.get(bytes)
    if (key === undefined) keys.set(bytes, (key = createSecretKey(bytes)))
    return key
  }
  noise.crypto = {
    ...crypto,
    encrypt: (plaintext, nonce, ad, key) =>
      plaintext.byteLength < MIN_NATIVE_BYTES
        ? crypto.encrypt(plaintext, nonce, ad, key)
        : seal(plaintext, nonce, ad, keyOf(key)),
    decrypt: (ciphertext, nonce, ad, key, dst) =>
      ciphertext.byteLength < MIN_NATIVE_BYTES
        ? crypto.decrypt(ciphertext, nonce, ad, key, dst)
        : open(ciphertext, nonce, ad, keyOf(key))
  }
}

function seal(plaintext: Bytes, nonce: Uint8Array, ad: Uint8Array, key: KeyObject): Uint8ArrayList {
  const cipher = createCipheriv(CIPHER, key, nonce, OPTIONS)
  if (ad.length > 0) cipher.setAAD(ad, { plaintextLength: plaintext.byteLength })
  const sealed = new Uint8ArrayList()
  for (const part of eachPart(plaintext)) sealed.append(markDetachable(cipher.update(part)))
  cipher.final()
  sealed.append(cipher.getAuthTag())
  return sealed
}

/** @throws Error when the tag is not that of these bytes: nothing of them is given out then */
function open(ciphertext: Bytes, nonce: Uint8Array, ad: Uint8Array, key: KeyObject): Uint8ArrayList {
  const length = ciphertext.byteLength - TAG_BYTES
  const decipher = createDecipheriv(CIPHER, key, nonce, OPTIONS)
  if (ad.length > 0) decipher.setAAD(ad, { plaintextLength: length })
  decipher.setAuthTag(ciphertext.subarray(length))
  const opened = new Uint8ArrayList()
  let left = length
  for (const part of eachPart(ciphertext)) {
    if (left === 0) break
    const text = part.length > left ? part.subarray(0, left) : part
    opened.append(markDetachable(decipher.update(text)))
    left -= text.length
  }
  decipher.final()
  return opened
}

/**
 * Reads Noise records in the place of upstream, which passes over any number of records of 0 bytes, though they hold no
 * tag and so do not decode; throws an error at the end of every read; and copies each record to have a place for what is
 * decrypted, though only short ones are decrypted into it. No record is opened in the memory it came in, and they come one
 * behind the other: with the end of a piece all of it is done with.
 */
export function tuneRecords(connection: MessageStream): void {
  const encrypted = connection as EncryptedConnection
  encrypted.decoder.lengthDecoder = data => {
    if (data.byteLength < 2) return MAX_RECORD_BYTES
    const length = (data.get(0) << 8) | data.get(1)
    if (length === 0) throw new Error('a Noise record of 0 bytes')
    return length
  }
  encrypted.decrypt = record => {
    const length = record.byteLength - TAG_BYTES
    if (length < 0) throw new Error(`a Noise record of ${record.byteLength} bytes, shorter than its tag`)
    const isShort = record.byteLength < MIN_NATIVE_BYTES
    const opened = encrypted.handshake.decrypt(record, isShort ? Buffer.allocUnsafe(length) : undefined)
    for (const part of record) detach(part, Infinity)
    return opened
  }
}
