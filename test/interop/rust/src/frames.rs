//! The frames of docs/protocol.md: a length as a minimal varint of at most four bytes, then that many bytes.

use std::fmt;

use bytes::{Buf, Bytes, BytesMut};
use libp2p::StreamProtocol;

pub const PROTOCOL: StreamProtocol = StreamProtocol::new("/bitvmx/comms/1.0.0");

/// The limit on messages that receivers have unless configured otherwise.
pub const MAX_MESSAGE: usize = 8 * 1024 * 1024;

/// An ack is its status and up to 63 reserved bytes.
pub const MAX_ACK: usize = 64;

pub const ACCEPTED: u8 = 0;
pub const FULL: u8 = 1;
pub const TOO_LARGE: u8 = 2;

/// What can be wrong with what the other side wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    NotMinimal,
    LongPrefix,
    CutOff,
    /// Above the limit. For a message that is no fault, but the ack that says so is the last.
    TooLong(usize),
    LongAck,
    EmptyAck,
    UnknownStatus,
    Unexpected,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotMinimal => "a length that is not the minimal varint",
            Self::LongPrefix => "a length of more than 4 bytes",
            Self::CutOff => "a frame cut off by the end of its stream",
            Self::TooLong(_) => "a length above the limit",
            Self::LongAck => "an ack of more than 64 bytes",
            Self::EmptyAck => "an ack of 0 bytes",
            Self::UnknownStatus => "an ack with an unknown status",
            Self::Unexpected => "an ack that answers no message",
        })
    }
}

impl std::error::Error for Violation {}

/// A length and the number of bytes it took, or nothing when there are not enough bytes yet.
pub fn parse_length(bytes: &[u8]) -> Result<Option<(usize, usize)>, Violation> {
    let mut length = 0;
    for (at, &byte) in bytes.iter().take(4).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            let superfluous = byte == 0 && at > 0;
            return if superfluous { Err(Violation::NotMinimal) } else { Ok(Some((length, at + 1))) };
        }
    }
    if bytes.len() < 4 { Ok(None) } else { Err(Violation::LongPrefix) }
}

/// Appends a frame to what is to be written.
pub fn write_frame(payload: &[u8], to: &mut Vec<u8>) {
    let mut left = payload.len();
    assert!(left < 1 << 28, "a length has at most four bytes");
    while left >= 0x80 {
        to.push(left as u8 | 0x80);
        left >>= 7;
    }
    to.push(left as u8);
    to.extend_from_slice(payload);
}

/// A frame of its own.
pub fn frame(payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(payload.len() + 4);
    write_frame(payload, &mut bytes);
    bytes
}

/// The status of an ack. What follows it is reserved, and ignored.
pub fn ack_status(payload: &[u8]) -> Result<u8, Violation> {
    match payload.first() {
        None => Err(Violation::EmptyAck),
        Some(&status) if status <= TOO_LARGE => Ok(status),
        Some(_) => Err(Violation::UnknownStatus),
    }
}

/// Takes the bytes of a stream in whatever pieces they come, and gives frames. It holds the bytes of at most one
/// frame and one piece: memory grows with what has arrived, not with the length that was announced.
pub struct Decoder {
    buffer: BytesMut,
    limit: usize,
}

impl Decoder {
    pub fn new(limit: usize) -> Self {
        Self { buffer: BytesMut::new(), limit }
    }

    pub fn push(&mut self, piece: &[u8]) {
        self.buffer.extend_from_slice(piece);
    }

    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// The next whole frame, if there is one.
    pub fn next_frame(&mut self) -> Result<Option<Bytes>, Violation> {
        let Some((length, taken)) = self.peek_length()? else { return Ok(None) };
        if self.buffer.len() < taken + length {
            return Ok(None);
        }
        self.buffer.advance(taken);
        Ok(Some(self.buffer.split_to(length).freeze()))
    }

    /// The status of the next whole ack. `expected`: there is a message that it answers.
    pub fn next_ack(&mut self, expected: bool) -> Result<Option<u8>, Violation> {
        match self.next_frame() {
            Ok(Some(_)) if !expected => Err(Violation::Unexpected),
            Ok(Some(ack)) => ack_status(&ack).map(Some),
            Ok(None) => Ok(None),
            Err(Violation::TooLong(_)) => Err(Violation::LongAck),
            Err(violation) => Err(violation),
        }
    }

    /// The length of the frame that has begun, as soon as it is known, and the size of its prefix.
    pub fn peek_length(&self) -> Result<Option<(usize, usize)>, Violation> {
        match parse_length(&self.buffer)? {
            Some((length, _)) if length > self.limit => Err(Violation::TooLong(length)),
            other => Ok(other),
        }
    }

    pub fn is_between_frames(&self) -> bool {
        self.buffer.is_empty()
    }

    /// The stream has ended, which it may between two frames only.
    pub fn end(&self) -> Result<(), Violation> {
        if self.is_between_frames() { Ok(()) } else { Err(Violation::CutOff) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_minimal_and_of_at_most_four_bytes() {
        for (length, prefix) in [
            (0, &b"\x00"[..]),
            (127, b"\x7f"),
            (128, b"\x80\x01"),
            (16_384, b"\x80\x80\x01"),
            (8_388_608, b"\x80\x80\x80\x04"),
            (268_435_455, b"\xff\xff\xff\x7f"),
        ] {
            assert_eq!(parse_length(prefix), Ok(Some((length, prefix.len()))));
            assert_eq!(parse_length(&prefix[..prefix.len() - 1]), Ok(None));
        }
        assert_eq!(parse_length(b"\x80\x00"), Err(Violation::NotMinimal));
        assert_eq!(parse_length(b"\xff\xff\x80\x00"), Err(Violation::NotMinimal));
        assert_eq!(parse_length(b"\x80\x80\x80\x80"), Err(Violation::LongPrefix));
    }

    #[test]
    fn frames_come_out_of_any_pieces() {
        let bytes: Vec<u8> =
            [0, 1, 127, 128, 20_000].iter().flat_map(|&size| frame(&vec![7; size])).collect();
        for piece in [1, 2, 3, 1_000, bytes.len()] {
            let mut decoder = Decoder::new(20_000);
            let mut sizes = Vec::new();
            for part in bytes.chunks(piece) {
                decoder.push(part);
                while let Some(message) = decoder.next_frame().unwrap() {
                    sizes.push(message.len());
                }
            }
            assert_eq!(sizes, [0, 1, 127, 128, 20_000]);
            assert!(decoder.is_between_frames());
        }
    }
}
