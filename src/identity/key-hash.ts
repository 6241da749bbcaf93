import { createHash, ECDH } from 'node:crypto'
import { publicKeyToProtobuf } from '@libp2p/crypto/keys'
import { parsePeerId } from './peer-id.ts'
import { decodePrivateKey } from './private-key.ts'
import type { NodePrivateKey, PrivateKeyInput } from './types.ts'
import type { PublicKey, RSAPublicKey } from '@libp2p/interface'

type NodePublicKey = NodePrivateKey['publicKey']

/** What precedes the 32 bytes of an Ed25519 key in its SubjectPublicKeyInfo. Source: RFC 8410, section 4. */
const ED25519_SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex')

/** What precedes the 65 bytes of an uncompressed secp256k1 point. Source: RFC 5480, section 2; SEC 2, section A.2.1. */
const SECP256K1_SPKI_PREFIX = Buffer.from('3056301006072a8648ce3d020106052b8104000a034200', 'hex')

/**
 * BitVMX's own name for a node, its key hash: the SHA-256 of the public key's SubjectPublicKeyInfo in DER,
 * which `openssl pkey -pubout -outform DER` writes, as 64 lower-case hex digits.
 *
 * @throws {P2pError} ERR_INVALID_KEY as `peerIdFromPrivateKey`
 */
export function publicKeyHash(key: PrivateKeyInput): string {
  return hashOf(decodePrivateKey(key).publicKey)
}

/**
 * The key hash of a remote, from the key it proved in the handshake. undefined for a key that has none:
 * ECDSA, or an RSA key in any but the one encoding that DER allows. libp2p takes those, and with them one
 * owner could appear under any number of peer IDs, all of the same key hash.
 */
export function publicKeyHashOf(publicKey: PublicKey): string | undefined {
  if (publicKey.type === 'ECDSA') return undefined
  if (publicKey.type === 'RSA' && !isCanonical(publicKey)) return undefined
  return hashOf(publicKey)
}

/**
 * The key hash of a peer whose ID contains its key, as the IDs of Ed25519 and secp256k1 keys do. undefined
 * for the ID of an RSA key, which is a digest of the key: the hash shows after a handshake.
 *
 * @throws {P2pError} ERR_INVALID_PEER_ID
 */
export function publicKeyHashOfPeerId(peerId: string): string | undefined {
  const { publicKey } = parsePeerId(peerId)
  return publicKey === undefined ? undefined : hashOf(publicKey)
}

function hashOf(publicKey: NodePublicKey): string {
  return createHash('sha256').update(subjectPublicKeyInfo(publicKey)).digest('hex')
}

function subjectPublicKeyInfo(publicKey: NodePublicKey): Uint8Array {
  const { type, raw } = publicKey
  if (type === 'RSA') return raw
  if (type === 'Ed25519') return Buffer.concat([ED25519_SPKI_PREFIX, raw])
  const point = ECDH.convertKey(raw, 'secp256k1', undefined, undefined, 'uncompressed')
  return Buffer.concat([SECP256K1_SPKI_PREFIX, Buffer.from(point)])
}

/** Whether the peer ID, a digest of the bytes the remote sent, is that of the key as libp2p itself writes it. */
function isCanonical(publicKey: RSAPublicKey): boolean {
  const digest = createHash('sha256').update(publicKeyToProtobuf(publicKey)).digest()
  return digest.equals(publicKey.toMultihash().digest)
}
