/** A limit: the cipher of Noise alone, as fast as Node gives it. */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'

const CIPHER = 'chacha20-poly1305'
const PIECE_BYTES = 64 * 1024
const TAG = { authTagLength: 16 }

/** Bytes per second of sealing and of opening pieces of 64 KiB, each measured for `ms` milliseconds. */
export function measureAead(ms) {
  const key = randomBytes(32)
  const nonce = randomBytes(12)
  const plain = randomBytes(PIECE_BYTES)
  const seal = () => {
    const cipher = createCipheriv(CIPHER, key, nonce, TAG)
    const sealed = cipher.update(plain)
    cipher.final()
    return { sealed, tag: cipher.getAuthTag() }
  }
  const { sealed, tag } = seal()
  const open = () => {
    const decipher = createDecipheriv(CIPHER, key, nonce, TAG)
    decipher.setAuthTag(tag)
    const opened = decipher.update(sealed)
    decipher.final()
    return opened
  }
  if (!open().equals(plain)) throw new Error('the cipher does not open what it sealed')
  return { seal: bytesPerSecond(seal, ms), open: bytesPerSecond(open, ms) }
}

function bytesPerSecond(action, ms) {
  const begin = performance.now()
  let pieces = 0
  let passed = 0
  while ((passed = performance.now() - begin) < ms) {
    action()
    pieces++
  }
  return (pieces * PIECE_BYTES * 1_000) / passed
}
