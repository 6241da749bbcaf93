//! Streams used outside of the protocol's rules: raw bytes on a message stream, and libp2p's ping.

use std::time::{Duration, Instant};

use futures::{AsyncReadExt as _, AsyncWriteExt as _};
use libp2p::{PeerId, Stream, ping};
use tokio::time::timeout;

use crate::{
    frames::PROTOCOL,
    node::{Node, Result},
};

/// How long a stream that is left alone is watched, and how long a connection may take to be noticed as lost.
const WATCH: Duration = Duration::from_secs(1);
const NOTICE: Duration = Duration::from_millis(100);

/// More than a peer has to say to raw bytes.
const MAX_READ: u64 = 64 * 1024;

#[derive(Clone, Copy, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum End {
    Close,
    Reset,
    Leave,
}

/// Writes these bytes on a new message stream, ends it, and tells what came back and how it ended. A reset of another
/// stream at the same time would be taken for this one's: run one at a time.
pub async fn raw(node: &Node, peer: PeerId, bytes: Vec<u8>, end: End) -> Result<(Vec<u8>, &'static str)> {
    let epoch = node.link(&peer).ok_or("not connected")?.epoch;
    let resets = node.resets.count();
    let mut stream = node.open(peer, PROTOCOL).await?;
    // The other side may have reset the stream before it has everything; reading shows that.
    let _ = stream.write_all(&bytes).await;
    let _ = stream.flush().await;
    let mut read = Vec::new();
    match end {
        End::Reset => {
            drop(stream);
            return Ok((read, "reset"));
        }
        End::Close => {
            let _ = stream.close().await;
            read_to_end(&mut stream, &mut read).await;
        }
        End::Leave => {
            if timeout(WATCH, read_to_end(&mut stream, &mut read)).await.is_err() {
                // It stays open until the other side ends it.
                tokio::spawn(async move { read_to_end(&mut stream, &mut Vec::new()).await });
                return Ok((read, "open"));
            }
        }
    }
    if node.resets.count() > resets {
        return Ok((read, "reset"));
    }
    let lost = timeout(NOTICE, node.ended(peer, epoch)).await.is_ok();
    Ok((read, if lost { "connection" } else { "closed" }))
}

async fn read_to_end(stream: &mut Stream, read: &mut Vec<u8>) {
    let mut piece = [0; 4 * 1024];
    while let Ok(count @ 1..) = stream.read(&mut piece).await {
        let room = (MAX_READ as usize).saturating_sub(read.len());
        read.extend_from_slice(&piece[..count.min(room)]);
    }
}

/// Round trips of libp2p's ping, one after the other on one stream.
pub async fn ping(node: &Node, peer: PeerId, count: usize) -> Result<Vec<f64>> {
    let mut stream = node.open(peer, ping::PROTOCOL_NAME).await?;
    let mut trips = Vec::new();
    for i in 0..count {
        let sent: [u8; 32] = std::array::from_fn(|j| (i * 31 + j) as u8);
        let mut echo = [0; 32];
        let started = Instant::now();
        stream.write_all(&sent).await.map_err(|error| error.to_string())?;
        stream.flush().await.map_err(|error| error.to_string())?;
        stream.read_exact(&mut echo).await.map_err(|error| error.to_string())?;
        trips.push(started.elapsed().as_secs_f64() * 1_000.0);
        if echo != sent {
            return Err("the echo is not what was sent".into());
        }
    }
    let _ = stream.close().await;
    Ok(trips)
}
