//! Messages that arrive: decoded, counted and answered as the runner wishes.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::{AsyncReadExt as _, AsyncWriteExt as _, StreamExt as _};
use libp2p::{PeerId, Stream};
use sha2::{Digest as _, Sha256};
use tokio::{
    sync::{Semaphore, SemaphorePermit, watch},
    time::{Instant, timeout_at},
};

use crate::{
    codec::Response,
    frames::{ACCEPTED, Decoder, FULL, MAX_MESSAGE, TOO_LARGE, Violation},
};

/// A frame is to be complete within this, from its first byte.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(30);

const PIECE: usize = 64 * 1024;

/// Bytes of unfinished messages, on all streams of all connections together.
const BUDGET: usize = 128 * 1024 * 1024;

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// How messages are answered.
#[derive(Clone)]
pub enum Acks {
    Accept,
    Refuse,
    Withhold,
    Raw(Vec<u8>),
}

/// What has been accepted from a peer since somebody asked.
#[derive(Clone, Default)]
pub struct Tally {
    pub count: u64,
    pub bytes: u64,
    pub sha256: Sha256,
}

pub struct Inbox {
    policy: Mutex<(Acks, usize)>,
    tallies: watch::Sender<HashMap<PeerId, Tally>>,
    budget: Semaphore,
}

impl Default for Inbox {
    fn default() -> Self {
        let policy = Mutex::new((Acks::Accept, MAX_MESSAGE));
        Self { policy, tallies: watch::Sender::default(), budget: Semaphore::new(BUDGET) }
    }
}

impl Inbox {
    pub fn set_policy(&self, acks: Acks, limit: usize) {
        *self.policy.lock().unwrap() = (acks, limit);
    }

    fn limit(&self) -> usize {
        self.policy.lock().unwrap().1
    }

    /// Decides about a message that is complete, or was too large to be read: the answer to give, if any.
    pub fn decide(&self, peer: PeerId, message: Option<&[u8]>) -> Option<Response> {
        let (acks, limit) = self.policy.lock().unwrap().clone();
        let Some(message) = message.filter(|message| message.len() <= limit) else {
            return Some(Response::Status(TOO_LARGE));
        };
        match acks {
            Acks::Accept => {
                self.tallies.send_modify(|tallies| {
                    let tally = tallies.entry(peer).or_default();
                    tally.count += 1;
                    tally.bytes += message.len() as u64;
                    tally.sha256.update((message.len() as u32).to_be_bytes());
                    tally.sha256.update(message);
                });
                Some(Response::Status(ACCEPTED))
            }
            Acks::Refuse => Some(Response::Status(FULL)),
            Acks::Withhold => None,
            Acks::Raw(bytes) => Some(Response::Raw(bytes)),
        }
    }

    /// Waits until that many messages of a peer have been accepted, and begins to count anew.
    pub async fn take(&self, peer: PeerId, count: u64) -> Tally {
        let enough =
            |tallies: &HashMap<PeerId, Tally>| tallies.get(&peer).map_or(0, |tally| tally.count) >= count;
        let _ = self.tallies.subscribe().wait_for(enough).await;
        let mut taken = Tally::default();
        self.tallies.send_if_modified(|tallies| {
            taken = tallies.remove(&peer).unwrap_or_default();
            false
        });
        taken
    }
}

/// Serves every message stream that is opened to this node. A stream that finds nobody waiting here is reset by
/// libp2p-stream, so nothing else happens in this loop.
pub async fn accept(mut incoming: libp2p_stream::IncomingStreams, inbox: Arc<Inbox>) {
    while let Some((peer, stream)) = incoming.next().await {
        let inbox = inbox.clone();
        tokio::spawn(async move {
            if let Err(error) = serve(stream, peer, &inbox).await {
                eprintln!("reset a message stream of {peer}: {error}");
            }
        });
    }
}

/// A frame of which only a part is here.
struct Unfinished<'a> {
    deadline: Instant,
    share: Option<SemaphorePermit<'a>>,
}

/// Answers the messages of one stream until it ends. An error drops the stream, and that resets it.
async fn serve(mut stream: Stream, peer: PeerId, inbox: &Inbox) -> Outcome {
    let mut decoder = Decoder::new(inbox.limit());
    let mut piece = vec![0; PIECE];
    let mut unfinished = None;
    loop {
        decoder.set_limit(inbox.limit());
        // The acks of all messages that arrived together are written together.
        let mut acks = Vec::new();
        let wrong = loop {
            match decoder.next_frame() {
                Ok(Some(message)) => {
                    write_ack(inbox.decide(peer, Some(&message)), &mut acks);
                    unfinished = None;
                }
                Ok(None) => break None,
                Err(violation) => break Some(violation),
            }
        };
        if let Some(Violation::TooLong(_)) = wrong {
            write_ack(inbox.decide(peer, None), &mut acks);
        }
        stream.write_all(&acks).await?;
        stream.flush().await?;
        if let Some(violation) = wrong {
            return Err(violation.into());
        }

        // Between frames a stream may rest as long as it likes; a frame that has begun has to be completed.
        let read = if decoder.is_between_frames() {
            stream.read(&mut piece).await?
        } else {
            let deadline = Instant::now() + MESSAGE_TIMEOUT;
            let frame = unfinished.get_or_insert(Unfinished { deadline, share: None });
            if let (None, Some((length, _))) = (&frame.share, decoder.peek_length()?) {
                let share = inbox.budget.acquire_many(length.min(BUDGET) as u32);
                frame.share = Some(timeout_at(frame.deadline, share).await??);
            }
            timeout_at(frame.deadline, stream.read(&mut piece)).await??
        };
        if read == 0 {
            return end(stream, &decoder).await;
        }
        decoder.push(&piece[..read]);
    }
}

/// The stream has ended: in good order between two frames only.
async fn end(mut stream: Stream, decoder: &Decoder) -> Outcome {
    decoder.end()?;
    Ok(stream.close().await?)
}

fn write_ack(response: Option<Response>, acks: &mut Vec<u8>) {
    match response {
        Some(Response::Status(status)) => acks.extend([1, status]),
        Some(Response::Raw(bytes)) => acks.extend(bytes),
        None => {}
    }
}
