import { readFileSync } from 'node:fs'
import { expect } from 'vitest'
import { P2pError } from '../../../src/errors.ts'
import type { P2pErrorCode } from '../../../src/errors.ts'

/** The text of a throw-away key of test/fixtures/keys. */
export function fixture(name: string): string {
  return readFileSync(new URL(`../../fixtures/keys/${name}.pem`, import.meta.url), 'utf8')
}

/** DER as the PEM text of a block with this label. */
export function toPem(der: Uint8Array, label: string): string {
  const lines = Buffer.from(der)
    .toString('base64')
    .match(/.{1,64}/g)
  return [`-----BEGIN ${label}-----`, ...(lines ?? []), `-----END ${label}-----`, ''].join('\n')
}

/** The P2pError that `act` throws. */
export function errorOf(act: () => unknown, code: P2pErrorCode): P2pError {
  try {
    act()
  } catch (err) {
    expect(err).toBeInstanceOf(P2pError)
    expect((err as P2pError).code).toBe(code)
    return err as P2pError
  }
  throw new Error(`nothing was thrown; wanted ${code}`)
}

const BASE58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'
const BASE36 = '0123456789abcdefghijklmnopqrstuvwxyz'

/** Bytes as base58btc, the text form of a peer ID's multihash. */
export function base58(bytes: Uint8Array): string {
  return inAlphabet(bytes, BASE58)
}

/** Bytes as base36 with its multibase prefix, a text form of a CID. */
export function base36(bytes: Uint8Array): string {
  return `k${inAlphabet(bytes, BASE36)}`
}

function inAlphabet(bytes: Uint8Array, alphabet: string): string {
  const base = BigInt(alphabet.length)
  const zeros = bytes.findIndex(byte => byte !== 0)
  let digits = ''
  for (let rest = BigInt(`0x0${Buffer.from(bytes).toString('hex')}`); rest > 0n; rest /= base) {
    digits = alphabet.charAt(Number(rest % base)) + digits
  }
  return alphabet.charAt(0).repeat(zeros === -1 ? bytes.length : zeros) + digits
}
