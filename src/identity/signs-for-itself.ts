import { createPublicKey, sign, verify, type KeyObject } from 'node:crypto'

const PROBE = new Uint8Array(32)

/**
 * Whether the public half of a secp256k1 or RSA key verifies what the private half signs. Halves that do not
 * belong together parse well, and would fail every handshake.
 */
export function signsForItself(key: KeyObject): boolean {
  try {
    return verify('sha256', PROBE, createPublicKey(key), sign('sha256', PROBE, key))
  } catch {
    return false
  }
}
