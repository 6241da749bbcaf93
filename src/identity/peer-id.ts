import { peerIdFromString } from '@libp2p/peer-id'
import { P2pError, shown } from '../errors.ts'
import type { NodePeerId } from './types.ts'

/**
 * The longest text form there is: secp256k1 as a base32 CIDv1. A private key in hex or PEM is longer, so
 * one that is given in a peer ID's place is not repeated in the error.
 */
const MAX_TEXT_LENGTH = 67

/** A sha2-256 multihash: its code, its length and 32 bytes. */
const SHA256_MULTIHASH_BYTES = 34

/**
 * The one text by which this package knows a peer: base58btc, `12D3Koo…`, `16Uiu2…` or `Qm…`. Two texts name
 * the same peer exactly when this function gives the same string for both.
 *
 * Accepts that form and the CIDv1 forms in base32 (`bafz…`) and base36 (`k51…`, `kzw…`, `k2k…`). Source: the
 * libp2p peer ID specification, string representation.
 *
 * @throws {P2pError} ERR_INVALID_PEER_ID for anything else
 */
export function canonicalPeerId(text: unknown): string {
  return parsePeerId(text).toString()
}

/**
 * As `canonicalPeerId`, but libp2p's own object.
 *
 * @throws {P2pError} ERR_INVALID_PEER_ID
 */
export function parsePeerId(text: unknown): NodePeerId {
  if (typeof text !== 'string') throw invalid(shown(text))
  if (text.length > MAX_TEXT_LENGTH) throw invalid(`a text of ${text.length} characters`)

  let peerId: ReturnType<typeof peerIdFromString>
  try {
    peerId = peerIdFromString(text)
  } catch (err) {
    throw invalid(shown(text), err)
  }
  if (peerId.type === 'url' || !isMinimal(peerId)) throw invalid(shown(text))
  return peerId
}

/**
 * Whether a handshake can end in exactly this peer ID. libp2p also parses digests of any length and keys
 * encoded in other than the one prescribed way; no peer can ever prove such an ID.
 */
function isMinimal(peerId: NodePeerId): boolean {
  return peerId.type === 'RSA'
    ? peerId.toMultihash().bytes.length === SHA256_MULTIHASH_BYTES
    : peerId.publicKey.toString() === peerId.toString()
}

function invalid(given: string, cause?: unknown): P2pError {
  return new P2pError(
    'ERR_INVALID_PEER_ID',
    `Invalid peer ID ${given}: wanted the peer ID of an Ed25519, secp256k1 or RSA key, such as '12D3KooW…', '16Uiu2…' or 'Qm…'`,
    cause === undefined ? undefined : { cause }
  )
}
