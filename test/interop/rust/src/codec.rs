//! The protocol as `request_response` sees it: one message is a request, its ack the response. It closes the stream
//! for writing behind the request, so every message has a stream of its own.
//!
//! This is complete for sending. Serving it (`ProtocolSupport::Full`) reads one message a stream, and so suits
//! senders that open a stream for each, but not those that keep one stream for all their messages.

use std::io;

use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use libp2p::{StreamProtocol, request_response::Codec};

use crate::frames::{MAX_ACK, MAX_MESSAGE, Violation, ack_status, parse_length, write_frame};

/// A message, or nothing where it was longer than the limit.
pub type Request = Option<Vec<u8>>;

#[derive(Clone, Debug)]
pub enum Response {
    Status(u8),
    /// Bytes to write as they are, instead of an ack.
    Raw(Vec<u8>),
}

#[derive(Clone)]
pub struct MessageCodec {
    limit: usize,
}

impl Default for MessageCodec {
    fn default() -> Self {
        Self { limit: MAX_MESSAGE }
    }
}

impl Codec for MessageCodec {
    type Protocol = StreamProtocol;
    type Request = Request;
    type Response = Response;

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Request>
    where
        T: AsyncRead + Unpin + Send,
    {
        read_frame(io, self.limit).await
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Response>
    where
        T: AsyncRead + Unpin + Send,
    {
        let payload = read_frame(io, MAX_ACK).await?.ok_or_else(|| malformed(Violation::LongAck))?;
        Ok(Response::Status(ack_status(&payload).map_err(malformed)?))
    }

    async fn write_request<T>(&mut self, _: &StreamProtocol, io: &mut T, request: Request) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        let mut bytes = Vec::new();
        write_frame(&request.unwrap_or_default(), &mut bytes);
        match io.write_all(&bytes).await {
            // Who refuses a message as too large ends the stream while it is being written; the ack is there to be read.
            Err(error) if error.kind() == io::ErrorKind::WriteZero => Ok(()),
            written => written,
        }
    }

    async fn write_response<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        response: Response,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        match response {
            Response::Status(status) => io.write_all(&[1, status]).await,
            Response::Raw(bytes) => io.write_all(&bytes).await,
        }
    }
}

/// Reads one frame; nothing when its length is above the limit. Memory grows with the bytes that arrive.
async fn read_frame<T>(io: &mut T, limit: usize) -> io::Result<Option<Vec<u8>>>
where
    T: AsyncRead + Unpin + Send,
{
    let mut prefix = Vec::with_capacity(4);
    let length = loop {
        let mut byte = [0];
        io.read_exact(&mut byte).await?;
        prefix.push(byte[0]);
        if let Some((length, _)) = parse_length(&prefix).map_err(malformed)? {
            break length;
        }
    };
    if length > limit {
        return Ok(None);
    }
    let mut payload = Vec::new();
    io.take(length as u64).read_to_end(&mut payload).await?;
    if payload.len() < length { Err(malformed(Violation::CutOff)) } else { Ok(Some(payload)) }
}

fn malformed(violation: Violation) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, violation)
}
