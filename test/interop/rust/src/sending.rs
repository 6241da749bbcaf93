//! Messages to a peer, either all on one stream that stays open, or each on a stream of its own.

use std::{collections::HashMap, sync::Arc, time::Instant};

use futures::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, StreamExt as _,
    future::{Either, pending, select},
    io::BufWriter,
    stream::iter,
};
use libp2p::{PeerId, Stream};
use tokio::sync::{Mutex, Semaphore};

use crate::{
    frames::{Decoder, MAX_ACK, PROTOCOL, TOO_LARGE, Violation, frame},
    node::{Node, Result},
};

const PIECE: usize = 64 * 1024;

/// What became of some messages.
#[derive(Debug, Default)]
pub struct Fate {
    /// How many acks of each status came.
    pub acks: [u64; 3],
    pub unanswered: u64,
    pub ms: f64,
}

impl Fate {
    fn answered(&self) -> u64 {
        self.acks.iter().sum()
    }
}

/// What is to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Batch {
    pub count: u64,
    pub size: usize,
    /// How many messages, or streams, may be unanswered at once.
    pub window: usize,
}

impl Batch {
    /// Message `i` of a batch: its number, if there is room, in bytes that follow from its number.
    fn message(&self, i: u64) -> Vec<u8> {
        let mut message: Vec<u8> = (0..self.size as u64).map(|j| (i * 7 + j) as u8).collect();
        if let Some(head) = message.get_mut(..4) {
            head.copy_from_slice(&(i as u32).to_be_bytes());
        }
        message
    }
}

/// A stream, and the stretch of being connected that it belongs to.
type LongStream = (u64, Stream);
type Slot = Arc<Mutex<Option<LongStream>>>;

/// The long-lived stream to each peer.
#[derive(Default)]
pub struct LongStreams(std::sync::Mutex<HashMap<PeerId, Slot>>);

impl LongStreams {
    fn slot(&self, peer: PeerId) -> Slot {
        self.0.lock().unwrap().entry(peer).or_default().clone()
    }

    /// Opens the long-lived stream, unless it is there. Only this shows that the other side has admitted us.
    pub async fn open(&self, node: &Node, peer: PeerId) -> Result<()> {
        let slot = self.slot(peer);
        let mut slot = slot.lock().await;
        let stream = usable(&mut slot, node, peer).await?;
        *slot = Some(stream);
        Ok(())
    }

    /// Sends a batch on the long-lived stream, which serves one batch at a time: that keeps them in order.
    pub async fn send(&self, node: &Node, peer: PeerId, batch: Batch) -> Fate {
        let slot = self.slot(peer);
        let mut slot = slot.lock().await;
        let started = Instant::now();
        let mut fate = Fate::default();
        if let Ok((epoch, mut stream)) = usable(&mut slot, node, peer).await
            && pipeline(&mut stream, batch, &mut fate).await
        {
            *slot = Some((epoch, stream));
        }
        finish(fate, batch, started)
    }
}

/// Takes the stream from its slot if it can still be written on, or opens another.
async fn usable(slot: &mut Option<LongStream>, node: &Node, peer: PeerId) -> Result<LongStream> {
    let epoch = node.link(&peer).ok_or("not connected")?.epoch;
    if let Some((of, mut stream)) = slot.take() {
        // Nothing is to be read while nothing is unanswered, save the end.
        let ended = futures::poll!(stream.read(&mut [0])).is_ready();
        if of == epoch && !ended {
            return Ok((epoch, stream));
        }
    }
    Ok((epoch, node.open(peer, PROTOCOL).await?))
}

/// Writes messages and reads acks at the same time. Tells whether the stream may be used for more.
async fn pipeline(stream: &mut Stream, batch: Batch, fate: &mut Fate) -> bool {
    let window = Semaphore::new(batch.window);
    let (reader, writer) = stream.split();
    let write = async {
        if let Err(error) = write_messages(writer, batch, &window).await {
            eprintln!("cannot write more: {error}");
        }
        // What has been written may still be answered: the reading side decides when it is over.
        pending::<()>().await
    };
    match select(Box::pin(read_acks(reader, batch, &window, fate)), Box::pin(write)).await {
        Either::Left((Ok(()), _)) => true,
        Either::Left((Err(error), _)) => {
            eprintln!("no more acks: {error}");
            false
        }
        Either::Right(((), _)) => unreachable!("writing does not end by itself"),
    }
}

async fn write_messages(
    to: impl AsyncWrite + Unpin,
    batch: Batch,
    window: &Semaphore,
) -> std::io::Result<()> {
    let mut to = BufWriter::with_capacity(PIECE, to);
    for i in 0..batch.count {
        let permit = match window.try_acquire() {
            Ok(permit) => permit,
            Err(_) => {
                to.flush().await?;
                window.acquire().await.expect("it is never closed")
            }
        };
        permit.forget();
        to.write_all(&frame(&batch.message(i))).await?;
    }
    to.flush().await
}

/// Acks belong to messages by their order alone.
async fn read_acks(
    mut from: impl AsyncRead + Unpin,
    batch: Batch,
    window: &Semaphore,
    fate: &mut Fate,
) -> std::result::Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut decoder = Decoder::new(MAX_ACK);
    let mut piece = vec![0; 4 * 1024];
    while fate.answered() < batch.count {
        match from.read(&mut piece).await? {
            0 => return Err("the stream has ended".into()),
            read => decoder.push(&piece[..read]),
        }
        while let Some(status) = decoder.next_ack(window.available_permits() < batch.window)? {
            fate.acks[usize::from(status)] += 1;
            if status == TOO_LARGE {
                return Err("nothing behind a message that was too large is read".into());
            }
            window.add_permits(1);
        }
    }
    if decoder.is_between_frames() { Ok(()) } else { Err(Violation::Unexpected.into()) }
}

/// Sends a batch through `request_response`.
pub async fn send_single(node: &Node, peer: PeerId, batch: Batch) -> Fate {
    let started = Instant::now();
    let mut fate = Fate::default();
    let mut statuses =
        iter(0..batch.count).map(|i| node.request(peer, batch.message(i))).buffer_unordered(batch.window);
    while let Some(status) = statuses.next().await {
        if let Some(status) = status {
            fate.acks[usize::from(status)] += 1;
        }
    }
    drop(statuses);
    finish(fate, batch, started)
}

fn finish(fate: Fate, batch: Batch, started: Instant) -> Fate {
    let ms = started.elapsed().as_secs_f64() * 1_000.0;
    Fate { unanswered: batch.count - fate.answered(), ms, ..fate }
}
