// libp2p identities and the payload of the Noise handshake (libp2p specs, noise/README.md), by hand.
import { createPrivateKey, createPublicKey, sign } from 'node:crypto'
import { prefixed, varint } from './lines.mjs'

const ED25519_DER = Buffer.from('302e020100300506032b657004220420', 'hex')
const CONTEXT = Buffer.from('noise-libp2p-static-key:')

/** A protobuf field of bytes. */
export function field(number, bytes) {
  return Buffer.concat([varint(number * 8 + 2), prefixed(bytes)])
}

/** A libp2p PublicKey message: its type (0 RSA, 1 Ed25519), then its bytes. */
export function publicKeyMessage(type, bytes) {
  return Buffer.concat([varint(8), varint(type), field(2, bytes)])
}

/** Reads a private key in libp2p's protobuf form, Ed25519 or RSA. */
export function readIdentity(bytes) {
  const type = bytes[1]
  let at = 3
  while (bytes[at] >= 0x80) at++
  const data = Buffer.from(bytes.subarray(at + 1))
  const key =
    type === 1
      ? createPrivateKey({
          key: Buffer.concat([ED25519_DER, data.subarray(0, 32)]),
          format: 'der',
          type: 'pkcs8'
        })
      : createPrivateKey({ key: data, format: 'der', type: 'pkcs1' })
  const spki = createPublicKey(key).export({ format: 'der', type: 'spki' })
  return {
    message: publicKeyMessage(type, type === 1 ? spki.subarray(-32) : spki),
    sign: staticKey => sign(type === 1 ? null : 'sha256', Buffer.concat([CONTEXT, staticKey]), key)
  }
}

/** The payload of a handshake. Any part can be replaced. */
export function payload(identity, staticKey, { muxers = ['/yamux/1.0.0'], identityKey, signature } = {}) {
  return Buffer.concat([
    field(1, identityKey ?? identity.message),
    field(2, signature ?? identity.sign(staticKey)),
    muxers.length === 0
      ? Buffer.alloc(0)
      : field(4, Buffer.concat(muxers.map(name => field(2, Buffer.from(name)))))
  ])
}
