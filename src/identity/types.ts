import type {
  Ed25519PeerId,
  Ed25519PrivateKey,
  RSAPeerId,
  RSAPrivateKey,
  Secp256k1PeerId,
  Secp256k1PrivateKey
} from '@libp2p/interface'

/** The kinds of key a node may have: those for which every libp2p implementation has a peer ID. */
export type KeyType =
  /** Edwards curve, peer IDs `12D3Koo…`: the default everywhere in libp2p */
  | 'Ed25519'
  /** Bitcoin's curve, peer IDs `16Uiu2…` */
  | 'secp256k1'
  /** peer IDs `Qm…`; 2,048 to 8,191 bits */
  | 'RSA'

/**
 * A private key as the application holds it: libp2p protobuf bytes; the same bytes as hex, in upper or lower
 * case, with or without `0x`; or the PEM text of an unencrypted key, PKCS#8 (`PRIVATE KEY`, either version), SEC 1
 * (`EC PRIVATE KEY`) or PKCS#1 (`RSA PRIVATE KEY`). White space around a text is ignored.
 */
export type PrivateKeyInput = Uint8Array | string

/** libp2p's own object for a key of one of these kinds. */
export type NodePrivateKey = Ed25519PrivateKey | Secp256k1PrivateKey | RSAPrivateKey

/** libp2p's own object for the peer ID of a key of one of these kinds. */
export type NodePeerId = Ed25519PeerId | Secp256k1PeerId | RSAPeerId

/** A private key taken out of its wrapping, its numbers not yet looked at. */
export interface RawKey {
  type: KeyType
  /** Ed25519: seed and public key; secp256k1: the scalar; RSA: PKCS#1 DER. Source: libp2p peer ID specification */
  raw: Uint8Array
  /** what the input was recognised as, for errors */
  form: string
}
