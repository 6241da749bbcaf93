import { types } from 'node:util'
import { invalidKey } from './errors.ts'
import { readPem } from './pem.ts'
import { readProtobuf } from './protobuf.ts'
import type { RawKey } from './types.ts'

/** Bytes or characters. The longest valid input, an RSA key in hex, has under 10 thousand. */
const MAX_INPUT_LENGTH = 65_536

/**
 * Takes a private key out of whichever accepted form it is in.
 *
 * @throws {P2pError} ERR_INVALID_KEY
 */
export function readRawKey(key: unknown): RawKey {
  if (typeof key === 'string') return readText(key)
  // not instanceof, which an object that merely inherits from Uint8Array.prototype passes
  if (types.isUint8Array(key)) return readBytes(key)
  throw invalidKey(kindOf(key), 'wanted a Uint8Array or a string')
}

function readText(input: string): RawKey {
  if (input.length > MAX_INPUT_LENGTH) throw tooLong(`a text of ${input.length} characters`)
  const text = input.trim()
  const size = `${text.length} characters`
  if (text === '') throw invalidKey('a text', 'it is empty')
  if (text.includes('-----BEGIN')) return readPem(text, `PEM text of ${size}`)

  const form = `hex text of ${size}`
  const digits = text.replace(/^0x/i, '')
  if (!/^[0-9a-f]*$/i.test(digits)) throw invalidKey(`a text of ${size}`, 'it is neither PEM nor hex')
  if (digits.length % 2 === 1) throw invalidKey(form, 'the number of digits is odd')
  return readProtobuf(Buffer.from(digits, 'hex'), form)
}

function readBytes(bytes: Uint8Array): RawKey {
  const form = `${bytes.byteLength} bytes`
  if (bytes.byteLength > MAX_INPUT_LENGTH) throw tooLong(form)
  if (bytes.byteLength === 0) throw invalidKey(form, 'it is empty')
  if (Buffer.from(bytes).includes('-----BEGIN')) {
    throw invalidKey(form, 'these are the bytes of a PEM text; give the text, as a string')
  }
  return readProtobuf(bytes, form)
}

function tooLong(form: string): Error {
  return invalidKey(form, `too long for a key; at most ${MAX_INPUT_LENGTH} are read`)
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (types.isPromise(value)) return 'a Promise, which generatePrivateKey() gives and is to be awaited'
  return types.isAnyArrayBuffer(value) ? 'an ArrayBuffer' : `a value of type ${typeof value}`
}
