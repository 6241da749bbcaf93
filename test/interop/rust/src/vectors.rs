//! The test vectors, checked with the code that this peer talks with.

use std::{error::Error, fmt::Debug};

use libp2p::identity::Keypair;
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::{
    frames::{Decoder, MAX_ACK, Violation},
    keys::key_hash,
};

#[derive(Deserialize)]
struct Vectors {
    frames: Vec<Frames>,
    acks: Vec<Acks>,
    keys: Vec<Key>,
}

#[derive(Deserialize)]
struct Frames {
    name: String,
    hex: String,
    limit: usize,
    messages: Vec<Message>,
    fault: Option<String>,
}

/// A message's bytes, or of a long one its length and hash.
#[derive(Deserialize)]
#[serde(untagged)]
enum Message {
    Short(String),
    Long { length: usize, sha256: String },
}

impl Message {
    fn is(&self, bytes: &[u8]) -> bool {
        match self {
            Self::Short(text) => hex::encode(bytes) == *text,
            Self::Long { length, sha256 } => {
                bytes.len() == *length && hex::encode(Sha256::digest(bytes)) == *sha256
            }
        }
    }
}

#[derive(Deserialize)]
struct Acks {
    name: String,
    hex: String,
    statuses: Vec<u8>,
    fault: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Key {
    r#type: String,
    private_key_hex: String,
    public_key_hex: String,
    peer_id: String,
    key_hash: String,
}

/// Checks every vector, prints what is wrong, and fails if anything is. Allow lists are not for peers of this kind.
pub fn check(text: &str) -> Result<(), Box<dyn Error>> {
    let vectors: Vectors = serde_json::from_str(text)?;
    let mut check = Check::default();
    for vector in &vectors.frames {
        let wire = hex::decode(&vector.hex)?;
        for piece in [1, wire.len().max(1)] {
            let (messages, end) =
                decode(&wire, piece, Decoder::new(vector.limit), |decoder| decoder.next_frame());
            let whole = messages.len() == vector.messages.len()
                && vector.messages.iter().zip(&messages).all(|(wanted, bytes)| wanted.is(bytes));
            check.same(&vector.name, (whole, end.map(frame_fault)), (true, vector.fault.as_deref()));
        }
    }
    for vector in &vectors.acks {
        let wire = hex::decode(&vector.hex)?;
        for piece in [1, wire.len().max(1)] {
            let (statuses, end) =
                decode(&wire, piece, Decoder::new(MAX_ACK), |decoder| decoder.next_ack(true));
            let fault = end.map(ack_fault);
            check.same(&vector.name, (&statuses, fault), (&vector.statuses, vector.fault.as_deref()));
        }
    }
    for vector in &vectors.keys {
        let key = Keypair::from_protobuf_encoding(&hex::decode(&vector.private_key_hex)?)?.public();
        check.same(&vector.r#type, hex::encode(key.encode_protobuf()), vector.public_key_hex.clone());
        check.same(&vector.r#type, key.to_peer_id().to_string(), vector.peer_id.clone());
        check.same(&vector.r#type, key_hash(&key).as_deref(), Some(&*vector.key_hash));
    }
    println!("{}", json!({ "checked": check.checked, "failed": check.failed, "leftOut": ["allowLists"] }));
    if check.failed.is_empty() { Ok(()) } else { Err("not all vectors agree".into()) }
}

fn frame_fault(violation: Violation) -> &'static str {
    match violation {
        Violation::TooLong(_) => "too-large",
        Violation::NotMinimal => "not-minimal",
        Violation::LongPrefix => "prefix-too-long",
        Violation::CutOff => "cut-off",
        Violation::LongAck | Violation::EmptyAck | Violation::UnknownStatus | Violation::Unexpected => "ack",
    }
}

fn ack_fault(violation: Violation) -> &'static str {
    match violation {
        Violation::TooLong(_) | Violation::LongAck | Violation::LongPrefix => "too-long",
        Violation::EmptyAck => "empty",
        Violation::UnknownStatus => "unknown-status",
        Violation::NotMinimal => "not-minimal",
        Violation::CutOff => "cut-off",
        Violation::Unexpected => "unexpected",
    }
}

/// Feeds the bytes in pieces: all that came out, and what was wrong at the end.
fn decode<T>(
    wire: &[u8],
    piece: usize,
    mut decoder: Decoder,
    mut next: impl FnMut(&mut Decoder) -> Result<Option<T>, Violation>,
) -> (Vec<T>, Option<Violation>) {
    let mut found = Vec::new();
    for part in wire.chunks(piece) {
        decoder.push(part);
        loop {
            match next(&mut decoder) {
                Ok(Some(item)) => found.push(item),
                Ok(None) => break,
                Err(violation) => return (found, Some(violation)),
            }
        }
    }
    (found, decoder.end().err())
}

#[derive(Default)]
struct Check {
    checked: usize,
    failed: Vec<String>,
}

impl Check {
    fn same<T: Debug + PartialEq<U>, U: Debug>(&mut self, name: &str, ours: T, wanted: U) {
        self.checked += 1;
        if ours != wanted {
            self.failed.push(format!("{name}: {ours:?} instead of {wanted:?}"));
        }
    }
}
