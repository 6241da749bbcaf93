import { createHash, ECDH } from 'node:crypto'
import { publicKeyFromProtobuf, publicKeyToProtobuf } from '@libp2p/crypto/keys'
import { P2pError } from '../errors.ts'
import { parsePeerId } from './peer-id.ts'
import type { PublicKey } from '@libp2p/interface'

/** What precedes the 32 bytes of an Ed25519 public key in its SubjectPublicKeyInfo. Source: RFC 8410, section 4. */
const ED25519_SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex')

/** What precedes the 65 bytes of an uncompressed secp256k1 point. Source: RFC 5480, section 2; SEC 2, section A.2. */
const SECP256K1_SPKI_PREFIX = Buffer.from('3056301006072a8648ce3d020106052b8104000a034200', 'hex')

/**
 * BitVMX's own name for the owner of a key: the SHA-256 of the SubjectPublicKeyInfo DER, as `openssl pkey
 * -pubout -outform DER` writes it, in 64 lower-case hex digits.
 *
 * An RSA key that the remote sent in another than the one valid DER encoding is refused. libp2p takes such
 * keys, and with them one owner could appear under any number of peer IDs, all with the same key hash.
 *
 * @throws {P2pError} ERR_INVALID_KEY for such a key, and for one that is not Ed25519, secp256k1 or RSA
 */
export function publicKeyHashOf(publicKey: PublicKey): string {
  return createHash('sha256').update(subjectPublicKeyInfo(publicKey)).digest('hex')
}

/**
 * The key hash of a peer whose ID contains its key, as those of Ed25519 and secp256k1 keys do. undefined for
 * an RSA key's peer ID, a digest of the key: its hash is known only after a handshake.
 *
 * @throws {P2pError} ERR_INVALID_PEER_ID
 */
export function publicKeyHashOfPeerId(peerId: string): string | undefined {
  const { publicKey } = parsePeerId(peerId)
  return publicKey === undefined ? undefined : publicKeyHashOf(publicKey)
}

function subjectPublicKeyInfo(publicKey: PublicKey): Uint8Array {
  switch (publicKey.type) {
    case 'Ed25519':
      return Buffer.concat([ED25519_SPKI_PREFIX, publicKey.raw])
    case 'secp256k1':
      return Buffer.concat([SECP256K1_SPKI_PREFIX, uncompressed(publicKey.raw)])
    case 'RSA':
      if (!isCanonical(publicKey)) throw invalid('an RSA public key in an encoding that DER does not allow')
      return publicKey.raw
    case 'ECDSA':
      throw invalid('a public key of type ECDSA')
  }
}
