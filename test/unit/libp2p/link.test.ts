import { expect, it } from 'vitest'
// Upstream's own counter, so that its words are checked, too: it is not exported.
import { Nonce } from '../../../node_modules/@chainsafe/libp2p-noise/dist/src/nonce.js'
import { isPeersFault } from '../../../src/libp2p/link.ts'

function errorOf(action: () => void): Error {
  try {
    action()
  } catch (err) {
    return err as Error
  }
  throw new Error('no error')
}

it('a connection whose key has sealed 2^32 records ends by nobody’s fault', () => {
  const error = errorOf(() => new Nonce(2 ** 32).assertValue())
  expect(isPeersFault(error)).toBe(false)
})

it('bytes that do not decode are the peer’s fault, a broken network is not', () => {
  expect(isPeersFault(new Error('Invalid frame version'))).toBe(true)
  expect(isPeersFault(Object.assign(new Error('read ECONNRESET'), { errno: -104 }))).toBe(false)
})
