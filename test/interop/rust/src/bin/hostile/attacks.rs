//! The attacks, each on a connection of its own.

use std::time::Instant;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::session::*;

/// Attacks that write these bytes on a message stream, and close it for writing behind them or not.
const FRAMES: &[(&str, &[u8], bool)] = &[
    ("oversize-prefix", b"\xff\xff\xff\x7f", false),
    ("oversize-behind-messages", b"\x00\x01x\xff\xff\xff\x7f", false),
    ("five-byte-prefix", b"\x80\x80\x80\x80\x01", false),
    ("endless-prefix", &[0xff; 4096], false),
    ("non-minimal-prefix", b"\x81\x00x", false),
    ("non-minimal-zero", b"\x80\x00", false),
    ("cut-in-prefix", b"\x80", true),
    ("cut-after-prefix", b"\x05", true),
    ("cut-in-payload", b"\x05\x01\x02", true),
    ("cut-behind-message", b"\x01x\x05\x01\x02", true),
];

/// Attacks that write these bytes on a stream instead of agreeing on a protocol.
const NEGOTIATIONS: &[(&str, &[u8])] = &[
    ("negotiation-garbage", &[0xff; 4096]),
    ("negotiation-empty-lines", &[0; 4096]),
    ("negotiation-long-line", b"\x13/multistream/1.0.0\n\xff\x7f"),
];

/// Attacks that write these frames, and nothing else, on a new connection.
const MUXER: &[(&str, &[u8])] = &[
    ("muxer-bad-version", &[1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0]),
    ("muxer-unknown-type", &[0, 9, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]),
    ("muxer-huge-frame", &[0, DATA, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff]),
    ("muxer-frame-above-window", &[0, DATA, 0, 1, 0, 0, 0, 1, 0, 0x10, 0, 1]),
    ("muxer-stream-of-theirs", &[0, WINDOW, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0]),
    ("muxer-stream-zero", &[0, WINDOW, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]),
    ("muxer-data-for-session", &[0, DATA, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 7]),
    ("muxer-go-away", &[0, GO_AWAY, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
];

/// Attacks that write these bytes on the socket of a connection that is ready, past Noise.
const NOISE: &[(&str, &[u8])] = &[
    (
        "noise-garbage",
        &[
            0x00, 0x20, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23,
            24, 25, 26, 27, 28, 29, 30, 31, 32,
        ],
    ),
    ("noise-empty-frame", &[0, 0]),
    ("noise-short-frame", &[0, 1, 0]),
    ("noise-frame-cut", &[0xff, 0xff, 1, 2, 3]),
];

/// Attacks that write these bytes before, or instead of, the handshake.
const HANDSHAKE: &[(&str, &[u8])] = &[
    ("handshake-silence", b""),
    ("handshake-garbage", &[0xff; 4096]),
    ("handshake-http", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    ("handshake-no-protocol", b"\x13/multistream/1.0.0\n"),
    ("handshake-unknown-protocol", b"\x13/multistream/1.0.0\n\x0c/tls/1.0.0x\n"),
    ("handshake-half-noise", b"\x13/multistream/1.0.0\n\x07/noise\n\x00\x20aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
    ("handshake-bad-noise", b"\x13/multistream/1.0.0\n\x07/noise\n\x00\x04abcd"),
    ("handshake-noise-length-only", b"\x13/multistream/1.0.0\n\x07/noise\n\xff\xff"),
];

/// Attacks on a stream of the other side: it has to be made to send a message. The bytes answer that message.
const ACKS: &[(&str, &[u8])] = &[
    ("ack-unknown-status", b"\x01\x03"),
    ("ack-empty", b"\x00"),
    ("ack-too-long", &[0x41]),
    ("ack-non-minimal", b"\x81\x00\x00"),
    ("ack-unsolicited", b"\x01\x00\x01\x00\x01\x00\x01\x00"),
];

const FLOODS: &[&str] = &[
    "legal-lazy-messages",
    "flood-message-streams",
    "flood-mute-streams",
    "flood-opened-and-reset",
    "flood-pings",
    "flood-window-updates",
    "flood-data-for-nobody",
    "flood-lines",
    "flood-empty-noise-frames",
    "window-exceeded",
    "window-overflow",
    "half-open-connections",
];

pub fn names() -> Vec<&'static str> {
    let mut names: Vec<_> = FRAMES.iter().map(|attack| attack.0).collect();
    for table in [NEGOTIATIONS, MUXER, NOISE, HANDSHAKE, ACKS] {
        names.extend(table.iter().map(|attack| attack.0));
    }
    names.extend(FLOODS);
    names
}

/// Commits one attack, and tells how it ended.
pub async fn run(name: &str, target: &Target) -> Result<Value> {
    let find =
        |table: &[(&'static str, &'static [u8])]| table.iter().find(|attack| attack.0 == name).map(|a| a.1);
    if let Some(bytes) = find(HANDSHAKE) {
        return before_handshake(target, bytes).await;
    }
    let mut session = Session::open(target).await?;
    let started = Instant::now();
    let mut id = 1;
    if let Some((_, bytes, end)) = FRAMES.iter().find(|attack| attack.0 == name) {
        session.data(SYN, id, &[HELLO, bytes].concat()).await;
        if *end {
            session.data(FIN, id, &[]).await;
        }
    } else if let Some(bytes) = find(NEGOTIATIONS) {
        session.data(SYN, id, bytes).await;
    } else if let Some(bytes) = find(MUXER) {
        session.write(bytes).await;
    } else if let Some(bytes) = find(NOISE) {
        session.write_below(bytes).await?;
    } else if let Some(bytes) = find(ACKS) {
        session.wait(|seen| seen.over || !seen.opened.is_empty()).await;
        id = session.opened().ok_or("the other side has opened no stream")?;
        session.data(2, id, HELLO).await;
        session.wait(|seen| seen.over || seen.streams[&id].bytes.len() > HELLO.len()).await;
        session.data(0, id, bytes).await;
    } else {
        id = flood(name, &mut session, target).await?;
    }
    let (ended, read) = session.end_of(id).await;
    Ok(json!({
        "ended": ended,
        "ms": started.elapsed().as_millis() as u64,
        "read": hex::encode(&read[..read.len().min(64)]),
        "resets": session.resets()
    }))
}

/// Attacks by quantity. The stream whose end is to be watched.
async fn flood(name: &str, session: &mut Session, target: &Target) -> Result<u32> {
    let ids = |count: u32| (0..count).map(|i| i * 2 + 1);
    match name {
        // No attack, for comparison: streams with the negotiation, one message and the end in one go, in one frame or
        // in two, all answered.
        "legal-lazy-messages" => {
            let mut answered = 0;
            for id in ids(100) {
                let all = [HELLO, b"\x01x"].concat();
                if id % 4 == 1 {
                    session.data(SYN | FIN, id, &all).await;
                } else {
                    session.write(&[data(SYN, id, &all), data(FIN, id, &[])].concat()).await;
                }
                answered += usize::from(session.end_of(id).await == ("closed", vec![1, 0]));
            }
            if answered == 100 { Ok(199) } else { Err(format!("{answered} of 100 messages were answered")) }
        }
        // One flood stays below the limit on streams of any kind, the other goes beyond it.
        "flood-message-streams" => {
            for id in ids(300) {
                session.data(SYN, id, HELLO).await;
            }
            Ok(599)
        }
        "flood-mute-streams" => {
            for id in ids(400) {
                session.frame(WINDOW, SYN, id, 0).await;
            }
            Ok(799)
        }
        "flood-opened-and-reset" => {
            for id in ids(5_000) {
                session.write(&[data(SYN, id, HELLO), header(WINDOW, RST, id, 0)].concat()).await;
            }
            Ok(u32::MAX)
        }
        "flood-pings" => {
            session.write(&header(PING, SYN, 0, 7).repeat(10_000)).await;
            Ok(u32::MAX)
        }
        "flood-window-updates" => {
            session.data(SYN, 1, HELLO).await;
            session.write(&header(WINDOW, 0, 1, 0).repeat(100_000)).await;
            Ok(1)
        }
        "flood-data-for-nobody" => {
            session.write(&data(0, 4_001, b"x").repeat(100_000)).await;
            Ok(4_001)
        }
        "flood-lines" => {
            session.data(SYN, 1, b"\x13/multistream/1.0.0\n").await;
            session.data(0, 1, &b"\x08/a/1.0.\n".repeat(1_000)).await;
            Ok(1)
        }
        "flood-empty-noise-frames" => {
            session.write_below(&vec![0; 2 * 1024 * 1024]).await?;
            session.data(SYN | FIN, 1, &[HELLO, b"\x01x"].concat()).await;
            Ok(1)
        }
        // A message of 8 MiB is announced, and more comes at once than a new stream's window holds.
        "window-exceeded" => {
            session.data(SYN, 1, &[HELLO, b"\x80\x80\x80\x04"].concat()).await;
            session.data(0, 1, &vec![0; 300 * 1024]).await;
            Ok(1)
        }
        "window-overflow" => {
            session.data(SYN, 1, HELLO).await;
            session.write(&header(WINDOW, 0, 1, u32::MAX).repeat(2)).await;
            session.data(0, 1, b"\x01x").await;
            Ok(1)
        }
        "half-open-connections" => {
            let mut idle = Vec::new();
            for _ in 0..100 {
                idle.extend(TcpStream::connect(target.address).await);
            }
            session.data(SYN, 1, &[HELLO, b"\x01x"].concat()).await;
            session.data(FIN, 1, &[]).await;
            session.end_of(1).await;
            Ok(1)
        }
        _ => Err(format!("there is no attack {name:?}")),
    }
}

async fn before_handshake(target: &Target, bytes: &[u8]) -> Result<Value> {
    let mut socket = TcpStream::connect(target.address).await.map_err(text)?;
    let started = Instant::now();
    let _ = socket.write_all(bytes).await;
    let mut read = Vec::new();
    let ended = timeout(PATIENCE, socket.read_to_end(&mut read)).await;
    Ok(json!({
        "ended": if ended.is_ok() { "connection" } else { "open" },
        "ms": started.elapsed().as_millis() as u64,
        "read": hex::encode(&read[..read.len().min(64)])
    }))
}
