//! The commands that arrive as JSON lines, and their answers.

use std::sync::Arc;

use libp2p::{Multiaddr, PeerId};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    frames::MAX_MESSAGE,
    node::{Node, Result},
    receiving::{Acks, Inbox, Tally},
    sending::{Batch, Fate, LongStreams, send_single},
    streams::{End, ping, raw},
};

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    Single,
    Long,
}

#[derive(Deserialize)]
#[serde(tag = "command", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Command {
    Listen { address: Multiaddr },
    Dial { peer_id: String, address: Multiaddr },
    Send { peer_id: String, count: u64, size: usize, mode: Mode, window: usize },
    Receive { acks: String, raw: Option<String>, limit: Option<usize> },
    Expect { peer_id: String, count: u64 },
    Raw { peer_id: String, hex: String, end: End },
    Ping { peer_id: String, count: usize },
    Connected { peer_id: String },
    UntilDisconnected { peer_id: String },
    Disconnect { peer_id: String },
    Quit,
}

/// All that commands work with.
pub struct Context {
    pub node: Node,
    pub inbox: Arc<Inbox>,
    pub long: LongStreams,
}

impl Context {
    /// Carries a command out: the members of its answer.
    pub async fn run(&self, command: Command) -> Result<Value> {
        let node = &self.node;
        match command {
            Command::Listen { address } => Ok(json!({ "addresses": [node.listen(address).await?] })),
            Command::Dial { peer_id, address } => {
                let peer = parse(&peer_id)?;
                node.connect(peer, address).await?;
                self.long.open(node, peer).await.map_err(|error| format!("turned away: {error}"))?;
                Ok(json!({}))
            }
            Command::Send { peer_id, count, size, mode, window } => {
                let (peer, batch) = (parse(&peer_id)?, Batch { count, size, window: window.max(1) });
                if size >= 1 << 28 {
                    return Err("a frame holds less than 2^28 bytes".into());
                }
                Ok(fate(match mode {
                    Mode::Long => self.long.send(node, peer, batch).await,
                    Mode::Single => send_single(node, peer, batch).await,
                }))
            }
            Command::Receive { acks, raw, limit } => {
                let acks = match acks.as_str() {
                    "0" => Acks::Accept,
                    "1" => Acks::Refuse,
                    "withhold" => Acks::Withhold,
                    "raw" => Acks::Raw(bytes(&raw.unwrap_or_default())?),
                    other => return Err(format!("there are no acks {other:?}")),
                };
                self.inbox.set_policy(acks, limit.unwrap_or(MAX_MESSAGE));
                Ok(json!({}))
            }
            Command::Expect { peer_id, count } => Ok(tally(self.expect(parse(&peer_id)?, count).await?)),
            Command::Raw { peer_id, hex, end } => {
                let (read, ended) = raw(node, parse(&peer_id)?, bytes(&hex)?, end).await?;
                Ok(json!({ "read": hex::encode(read), "ended": ended }))
            }
            Command::Ping { peer_id, count } => {
                let peer = parse(&peer_id)?;
                let handshake = node.link(&peer).and_then(|link| link.handshake);
                let handshake = handshake.map(|time| time.as_secs_f64() * 1_000.0);
                Ok(json!({ "rttMs": ping(node, peer, count).await?, "handshakeMs": handshake }))
            }
            Command::Connected { peer_id } => {
                Ok(json!({ "connected": node.link(&parse(&peer_id)?).is_some() }))
            }
            Command::UntilDisconnected { peer_id } => {
                let peer = parse(&peer_id)?;
                if let Some(link) = node.link(&peer) {
                    node.ended(peer, link.epoch).await;
                }
                Ok(json!({}))
            }
            Command::Disconnect { peer_id } => {
                node.disconnect(parse(&peer_id)?).await;
                Ok(json!({}))
            }
            Command::Quit => Ok(json!({})),
        }
    }

    /// Waits for messages as long as the peer stays connected. If he is not, he may still come.
    async fn expect(&self, peer: PeerId, count: u64) -> Result<Tally> {
        let Some(link) = self.node.link(&peer) else { return Ok(self.inbox.take(peer, count).await) };
        tokio::select! {
            biased;
            tally = self.inbox.take(peer, count) => Ok(tally),
            () = self.node.ended(peer, link.epoch) => Err("the connection ended before the messages came".into()),
        }
    }
}

fn parse(peer_id: &str) -> Result<PeerId> {
    peer_id.parse().map_err(|error| format!("{peer_id:?} is not a peer ID: {error}"))
}

fn bytes(hex: &str) -> Result<Vec<u8>> {
    hex::decode(hex).map_err(|error| format!("not hexadecimal: {error}"))
}

fn fate(Fate { acks: [accepted, full, too_large], unanswered, ms }: Fate) -> Value {
    json!({ "acks": { "0": accepted, "1": full, "2": too_large }, "unanswered": unanswered, "ms": ms })
}

fn tally(Tally { count, bytes, sha256 }: Tally) -> Value {
    use sha2::Digest as _;
    json!({ "count": count, "bytes": bytes, "sha256": hex::encode(sha256.finalize()) })
}
