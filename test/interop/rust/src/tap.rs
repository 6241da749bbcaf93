//! Yamux, with an ear on it. rust-libp2p reports a stream that was reset just as one that was closed, and a scenario
//! has to tell the two apart; so this listens for the reset flag in the frames that pass. A peer that only wants to
//! talk needs `yamux::Config::default` instead, and none of this.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
};

use futures::{AsyncRead, AsyncWrite};
use libp2p::{
    core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo},
    yamux,
};

const HEADER: usize = 12;
const DATA: u8 = 0;
const RESET: u8 = 8;

/// How many streams have been reset by the other side, on all connections.
#[derive(Clone, Default)]
pub struct Resets(Arc<AtomicU64>);

impl Resets {
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

#[derive(Clone)]
pub struct TappedYamux {
    yamux: yamux::Config,
    resets: Resets,
}

impl TappedYamux {
    pub fn new(resets: Resets) -> Self {
        Self { yamux: yamux::Config::default(), resets }
    }

    fn tap<C>(&self, io: C) -> Tap<C> {
        Tap { io, header: [0; HEADER], have: 0, body: 0, resets: self.resets.clone() }
    }
}

impl UpgradeInfo for TappedYamux {
    type Info = &'static str;
    type InfoIter = std::iter::Once<Self::Info>;

    fn protocol_info(&self) -> Self::InfoIter {
        self.yamux.protocol_info()
    }
}

impl<C: AsyncRead + AsyncWrite + Send + Unpin + 'static> InboundConnectionUpgrade<C> for TappedYamux {
    type Output = yamux::Muxer<Tap<C>>;
    type Error = io::Error;
    type Future = <yamux::Config as InboundConnectionUpgrade<Tap<C>>>::Future;

    fn upgrade_inbound(self, io: C, info: Self::Info) -> Self::Future {
        let io = self.tap(io);
        self.yamux.upgrade_inbound(io, info)
    }
}

impl<C: AsyncRead + AsyncWrite + Send + Unpin + 'static> OutboundConnectionUpgrade<C> for TappedYamux {
    type Output = yamux::Muxer<Tap<C>>;
    type Error = io::Error;
    type Future = <yamux::Config as OutboundConnectionUpgrade<Tap<C>>>::Future;

    fn upgrade_outbound(self, io: C, info: Self::Info) -> Self::Future {
        let io = self.tap(io);
        self.yamux.upgrade_outbound(io, info)
    }
}

/// What is between Noise and yamux: passes everything on, and counts the resets among what it reads.
pub struct Tap<C> {
    io: C,
    header: [u8; HEADER],
    have: usize,
    /// Bytes of the current frame's body that are still to come.
    body: usize,
    resets: Resets,
}

impl<C> Tap<C> {
    fn hear(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let skip = self.body.min(bytes.len());
            self.body -= skip;
            bytes = &bytes[skip..];
            let take = (HEADER - self.have).min(bytes.len());
            self.header[self.have..self.have + take].copy_from_slice(&bytes[..take]);
            self.have += take;
            bytes = &bytes[take..];
            if self.have == HEADER {
                self.have = 0;
                let [_, kind, _, flags, _, _, _, _, length @ ..] = self.header;
                self.body = if kind == DATA { u32::from_be_bytes(length) as usize } else { 0 };
                self.resets.0.fetch_add(u64::from(flags & RESET != 0), Ordering::AcqRel);
            }
        }
    }
}

impl<C: AsyncRead + Unpin> AsyncRead for Tap<C> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let read = ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        self.hear(&buf[..read]);
        Poll::Ready(Ok(read))
    }
}

impl<C: AsyncWrite + Unpin> AsyncWrite for Tap<C> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_close(cx)
    }
}
