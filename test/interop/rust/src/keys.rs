//! What follows from a key: the peer ID, and BitVMX's own name of a node, its key hash.

use libp2p::identity::{KeyType, PublicKey};
use sha2::{Digest as _, Sha256};

/// What precedes the 32 bytes of an Ed25519 key in its SubjectPublicKeyInfo (RFC 8410, section 4).
const ED25519_SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// What precedes the 65 bytes of an uncompressed secp256k1 point in its SubjectPublicKeyInfo (RFC 5480, section 2).
const SECP256K1_SPKI: [u8; 23] = [
    0x30, 0x56, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81,
    0x04, 0x00, 0x0a, 0x03, 0x42, 0x00,
];

/// The key in the form that the key hash is taken of, SubjectPublicKeyInfo in DER. ECDSA keys have no key hash.
pub fn subject_public_key_info(key: &PublicKey) -> Option<Vec<u8>> {
    let key = key.clone();
    Some(match key.key_type() {
        KeyType::Ed25519 => [&ED25519_SPKI[..], &key.try_into_ed25519().ok()?.to_bytes()].concat(),
        KeyType::Secp256k1 => {
            [&SECP256K1_SPKI[..], &key.try_into_secp256k1().ok()?.to_bytes_uncompressed()].concat()
        }
        KeyType::RSA => key.try_into_rsa().ok()?.encode_x509(),
        KeyType::Ecdsa => return None,
    })
}

/// The key hash: SHA-256 of the SubjectPublicKeyInfo, in hexadecimal digits.
pub fn key_hash(key: &PublicKey) -> Option<String> {
    subject_public_key_info(key).map(|info| hex::encode(Sha256::digest(info)))
}
