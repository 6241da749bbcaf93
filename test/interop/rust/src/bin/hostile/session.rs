//! A connection with rust-libp2p's Noise, and yamux by hand above it: every byte of a frame can be chosen.

use std::{collections::HashMap, net::SocketAddr, time::Duration};

use futures::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, io::WriteHalf};
use libp2p::{
    Multiaddr, PeerId, core::upgrade::OutboundConnectionUpgrade as _, identity::Keypair, multiaddr::Protocol,
    noise,
};
use multistream_select::{Negotiated, Version, dialer_select_proto};
use tokio::{io::AsyncWriteExt as _, net::TcpStream, sync::watch, time::timeout};
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt as _};

pub const DATA: u8 = 0;
pub const WINDOW: u8 = 1;
pub const PING: u8 = 2;
pub const GO_AWAY: u8 = 3;

pub const SYN: u16 = 1;
pub const FIN: u16 = 4;
pub const RST: u16 = 8;

/// Both lines that agree on the protocol, and that the other side answers with the same bytes.
pub const HELLO: &[u8] = b"\x13/multistream/1.0.0\n\x14/bitvmx/comms/1.0.0\n";

/// How long the other side is given to react: longer than a handshake may take.
pub const PATIENCE: Duration = Duration::from_secs(7);

/// More than anybody has to say to an attack.
const MAX_KEPT: usize = 4 * 1024;

pub type Result<T> = std::result::Result<T, String>;

/// Whom to attack, and as whom.
#[derive(Clone)]
pub struct Target {
    pub key: Keypair,
    pub peer: PeerId,
    pub address: SocketAddr,
}

pub fn socket_address(address: &Multiaddr) -> Option<SocketAddr> {
    let mut parts = address.iter();
    let ip = match parts.next()? {
        Protocol::Ip4(ip) => ip.into(),
        Protocol::Ip6(ip) => ip.into(),
        _ => return None,
    };
    match parts.next()? {
        Protocol::Tcp(port) => Some(SocketAddr::new(ip, port)),
        _ => None,
    }
}

/// What the other side has done so far.
#[derive(Default)]
pub struct Seen {
    pub streams: HashMap<u32, SeenStream>,
    /// Streams that it opened, in order.
    pub opened: Vec<u32>,
    pub over: bool,
}

#[derive(Default)]
pub struct SeenStream {
    pub bytes: Vec<u8>,
    pub ended: Option<&'static str>,
}

type Secure = Negotiated<noise::Output<Negotiated<Compat<TcpStream>>>>;

pub struct Session {
    writer: WriteHalf<Secure>,
    seen: watch::Receiver<Seen>,
    /// The socket itself: what is written here goes around Noise.
    socket: std::net::TcpStream,
}

impl Session {
    /// Connects, and stands ready to write yamux frames.
    pub async fn open(target: &Target) -> Result<Self> {
        timeout(PATIENCE, Self::shake_hands(target)).await.map_err(|_| "the handshake takes too long")?
    }

    async fn shake_hands(target: &Target) -> Result<Self> {
        let tcp = TcpStream::connect(target.address).await.map_err(text)?.into_std().map_err(text)?;
        let socket = tcp.try_clone().map_err(text)?;
        let tcp = TcpStream::from_std(tcp).map_err(text)?.compat();
        let (name, tcp) = dialer_select_proto(tcp, ["/noise"], Version::V1).await.map_err(text)?;
        let noise = noise::Config::new(&target.key).map_err(text)?;
        let (peer, secure) = noise.upgrade_outbound(tcp, name).await.map_err(text)?;
        if peer != target.peer {
            return Err(format!("this is {peer}"));
        }
        let (_, secure) = dialer_select_proto(secure, ["/yamux/1.0.0"], Version::V1).await.map_err(text)?;
        let (reader, writer) = secure.split();
        let (seen_tx, seen) = watch::channel(Seen::default());
        tokio::spawn(async move {
            let _ = watch_frames(reader, &seen_tx).await;
            seen_tx.send_modify(|seen| seen.over = true);
        });
        Ok(Self { writer, seen, socket })
    }

    /// Writes as much as the other side lets us: it may hang up at any byte.
    pub async fn write(&mut self, bytes: &[u8]) {
        let all = async {
            self.writer.write_all(bytes).await?;
            self.writer.flush().await
        };
        let _ = timeout(PATIENCE, all).await;
    }

    pub async fn frame(&mut self, kind: u8, flags: u16, id: u32, length: u32) {
        self.write(&header(kind, flags, id, length)).await;
    }

    pub async fn data(&mut self, flags: u16, id: u32, bytes: &[u8]) {
        self.write(&data(flags, id, bytes)).await;
    }

    /// Writes on the socket, past Noise.
    pub async fn write_below(&mut self, bytes: &[u8]) -> Result<()> {
        let mut socket = TcpStream::from_std(self.socket.try_clone().map_err(text)?).map_err(text)?;
        socket.write_all(bytes).await.map_err(text)
    }

    /// Waits for something to be so, for a while.
    pub async fn wait(&mut self, done: impl FnMut(&Seen) -> bool) -> bool {
        matches!(timeout(PATIENCE, self.seen.wait_for(done)).await, Ok(Ok(_)))
    }

    /// Waits until the stream or the connection ends: how, and what the stream has brought since its protocol.
    pub async fn end_of(&mut self, id: u32) -> (&'static str, Vec<u8>) {
        let ended =
            |seen: &Seen| seen.over || seen.streams.get(&id).is_some_and(|stream| stream.ended.is_some());
        self.wait(ended).await;
        let seen = self.seen.borrow();
        let stream = seen.streams.get(&id);
        let read = stream.map(|stream| stream.bytes.strip_prefix(HELLO).unwrap_or(&stream.bytes).to_vec());
        let ended = stream.and_then(|stream| stream.ended);
        (ended.unwrap_or(if seen.over { "connection" } else { "open" }), read.unwrap_or_default())
    }

    pub fn resets(&self) -> usize {
        self.seen.borrow().streams.values().filter(|stream| stream.ended == Some("reset")).count()
    }

    pub fn opened(&self) -> Option<u32> {
        self.seen.borrow().opened.first().copied()
    }
}

pub fn header(kind: u8, flags: u16, id: u32, length: u32) -> Vec<u8> {
    [&[0, kind][..], &flags.to_be_bytes(), &id.to_be_bytes(), &length.to_be_bytes()].concat()
}

pub fn data(flags: u16, id: u32, bytes: &[u8]) -> Vec<u8> {
    [&header(DATA, flags, id, bytes.len() as u32)[..], bytes].concat()
}

async fn watch_frames(mut from: impl AsyncRead + Unpin, seen: &watch::Sender<Seen>) -> std::io::Result<()> {
    loop {
        let mut header = [0; 12];
        from.read_exact(&mut header).await?;
        let [_, kind, f0, f1, i0, i1, i2, i3, length @ ..] = header;
        let (flags, id) = (u16::from_be_bytes([f0, f1]), u32::from_be_bytes([i0, i1, i2, i3]));
        let mut body = Vec::new();
        if kind == DATA {
            let length = u32::from_be_bytes(length).into();
            (&mut from).take(length).read_to_end(&mut body).await?;
        }
        if id == 0 {
            continue;
        }
        seen.send_modify(|seen| {
            if flags & SYN != 0 {
                seen.opened.push(id);
            }
            let stream = seen.streams.entry(id).or_default();
            body.truncate(MAX_KEPT.saturating_sub(stream.bytes.len()));
            stream.bytes.extend(body);
            if flags & RST != 0 {
                stream.ended = Some("reset");
            } else if flags & FIN != 0 {
                stream.ended.get_or_insert("closed");
            }
        });
    }
}

pub fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
