//! The swarm: how it is put together, and a handle on it for the commands.

use std::{collections::HashMap, sync::Arc, time::Duration};

use libp2p::{
    Multiaddr, PeerId, Stream, StreamProtocol, Swarm, SwarmBuilder, identity::Keypair, multiaddr::Protocol,
    noise, ping, request_response as rr, swarm::NetworkBehaviour, tcp,
};
use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    codec::{MessageCodec, Response},
    driver::Driver,
    frames::PROTOCOL,
    receiving::Inbox,
    tap::{Resets, TappedYamux},
};

pub type Result<T> = std::result::Result<T, String>;

#[derive(NetworkBehaviour)]
pub struct Behaviour {
    pub streams: libp2p_stream::Behaviour,
    pub single: rr::Behaviour<MessageCodec>,
    pub ping: ping::Behaviour,
}

/// Which behaviour takes the streams that others open: only one can own the protocol.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Inbound {
    Streams,
    RequestResponse,
}

/// A peer that is connected now.
#[derive(Clone, Debug)]
pub struct Link {
    /// Tells this stretch of being connected from earlier and later ones.
    pub epoch: u64,
    /// How long the dial took, if this side dialled.
    pub handshake: Option<Duration>,
}

pub enum Order {
    Listen(Multiaddr, oneshot::Sender<Result<Multiaddr>>),
    Dial(PeerId, Multiaddr, oneshot::Sender<Result<()>>),
    Send(PeerId, Vec<u8>, oneshot::Sender<Response>),
    Disconnect(PeerId),
}

/// A handle on the swarm.
#[derive(Clone)]
pub struct Node {
    pub peer_id: PeerId,
    pub resets: Resets,
    orders: mpsc::Sender<Order>,
    control: libp2p_stream::Control,
    links: watch::Receiver<HashMap<PeerId, Link>>,
}

impl Node {
    pub fn start(
        key: Keypair,
        inbound: Inbound,
        inbox: Arc<Inbox>,
    ) -> std::result::Result<Self, noise::Error> {
        let peer_id = key.public().to_peer_id();
        let resets = Resets::default();
        let swarm = build(key, inbound, resets.clone())?;
        let mut control = swarm.behaviour().streams.new_control();
        if inbound == Inbound::Streams {
            let incoming = control.accept(PROTOCOL).expect("nobody else has registered it");
            tokio::spawn(crate::receiving::accept(incoming, inbox.clone()));
        }
        let (orders, todo) = mpsc::channel(64);
        let (driver, links) = Driver::new(swarm, inbox);
        tokio::spawn(driver.run(todo));
        Ok(Self { peer_id, resets, orders, control, links })
    }

    pub async fn listen(&self, address: Multiaddr) -> Result<Multiaddr> {
        let (done, result) = oneshot::channel();
        self.order(Order::Listen(address, done)).await;
        result
            .await
            .map_err(|_| "the listener has ended")?
            .map(|address| address.with(Protocol::P2p(self.peer_id)))
    }

    /// Connects, unless connected already. That says nothing yet about being admitted: open a stream to know.
    pub async fn connect(&self, peer: PeerId, mut address: Multiaddr) -> Result<()> {
        if self.link(&peer).is_some() {
            return Ok(());
        }
        if matches!(address.iter().last(), Some(Protocol::P2p(_))) {
            address.pop();
        }
        let (done, result) = oneshot::channel();
        self.order(Order::Dial(peer, address, done)).await;
        result.await.map_err(|_| "the dial was given up")?
    }

    /// Opens a stream to a peer that is connected.
    pub async fn open(&self, peer: PeerId, protocol: StreamProtocol) -> Result<Stream> {
        let link = self.link(&peer).ok_or("not connected")?;
        let mut control = self.control.clone();
        tokio::select! {
            stream = control.open_stream(peer, protocol) => stream.map_err(|error| error.to_string()),
            () = self.ended(peer, link.epoch) => Err("the connection was lost".into()),
        }
    }

    /// Sends a message through `request_response`: the ack's status, or nothing if none came.
    pub async fn request(&self, peer: PeerId, message: Vec<u8>) -> Option<u8> {
        self.link(&peer)?;
        let (done, result) = oneshot::channel();
        self.order(Order::Send(peer, message, done)).await;
        match result.await {
            Ok(Response::Status(status)) => Some(status),
            _ => None,
        }
    }

    pub async fn disconnect(&self, peer: PeerId) {
        let link = self.link(&peer);
        self.order(Order::Disconnect(peer)).await;
        if let Some(link) = link {
            self.ended(peer, link.epoch).await;
        }
    }

    pub fn link(&self, peer: &PeerId) -> Option<Link> {
        self.links.borrow().get(peer).cloned()
    }

    /// Waits until that stretch of being connected is over.
    pub async fn ended(&self, peer: PeerId, epoch: u64) {
        let over = |links: &HashMap<PeerId, Link>| links.get(&peer).is_none_or(|link| link.epoch != epoch);
        let _ = self.links.clone().wait_for(over).await;
    }

    async fn order(&self, order: Order) {
        // The driver lives as long as the process; should it be gone, the answer's sender is dropped with the order.
        let _ = self.orders.send(order).await;
    }
}

fn build(
    key: Keypair,
    inbound: Inbound,
    resets: Resets,
) -> std::result::Result<Swarm<Behaviour>, noise::Error> {
    let support = match inbound {
        Inbound::Streams => rr::ProtocolSupport::Outbound,
        Inbound::RequestResponse => rr::ProtocolSupport::Full,
    };
    let config =
        rr::Config::default().with_request_timeout(Duration::from_secs(60)).with_max_concurrent_streams(256);
    Ok(SwarmBuilder::with_existing_identity(key)
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, move || TappedYamux::new(resets))?
        .with_behaviour(|_| Behaviour {
            streams: libp2p_stream::Behaviour::new(),
            single: rr::Behaviour::new([(PROTOCOL, support)], config),
            ping: ping::Behaviour::default(),
        })
        .expect("making the behaviours does not fail")
        // A node has no stream open while there is nothing to say, and rust-libp2p would hang up after ten seconds.
        .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::MAX))
        .build())
}
