//! The task that drives the swarm: carries out orders, and tells those who wait what became of them.

use std::{collections::HashMap, sync::Arc};

use futures::StreamExt as _;
use libp2p::{
    Multiaddr, PeerId, Swarm,
    core::transport::ListenerId,
    request_response as rr,
    swarm::{ConnectionId, SwarmEvent, dial_opts::DialOpts},
};
use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    codec::Response,
    node::{Behaviour, BehaviourEvent, Link, Order, Result},
    receiving::Inbox,
};

/// How many requests are left unanswered before the oldest is dropped, which closes its stream.
const MAX_WITHHELD: usize = 1_024;

type Links = HashMap<PeerId, Link>;

pub struct Driver {
    swarm: Swarm<Behaviour>,
    inbox: Arc<Inbox>,
    links: watch::Sender<Links>,
    epoch: u64,
    listens: HashMap<ListenerId, oneshot::Sender<Result<Multiaddr>>>,
    dials: HashMap<ConnectionId, oneshot::Sender<Result<()>>>,
    sends: HashMap<rr::OutboundRequestId, oneshot::Sender<Response>>,
    withheld: std::collections::VecDeque<rr::ResponseChannel<Response>>,
}

impl Driver {
    pub fn new(swarm: Swarm<Behaviour>, inbox: Arc<Inbox>) -> (Self, watch::Receiver<Links>) {
        let (links, links_rx) = watch::channel(Links::new());
        let driver = Self {
            swarm,
            inbox,
            links,
            epoch: 0,
            listens: HashMap::new(),
            dials: HashMap::new(),
            sends: HashMap::new(),
            withheld: Default::default(),
        };
        (driver, links_rx)
    }

    /// Runs until there is nobody left to give orders.
    pub async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        loop {
            tokio::select! {
                order = orders.recv() => match order {
                    Some(order) => self.carry_out(order),
                    None => return,
                },
                event = self.swarm.select_next_some() => self.take_note(event),
            }
        }
    }

    fn carry_out(&mut self, order: Order) {
        match order {
            Order::Listen(address, done) => match self.swarm.listen_on(address) {
                Ok(id) => drop(self.listens.insert(id, done)),
                Err(error) => drop(done.send(Err(error.to_string()))),
            },
            Order::Dial(peer, address, done) => {
                // From a port of its own: a peer that has just been cut off may still hold the other end of the old one.
                let opts = DialOpts::peer_id(peer).addresses(vec![address]).allocate_new_port().build();
                let id = opts.connection_id();
                match self.swarm.dial(opts) {
                    Ok(()) => drop(self.dials.insert(id, done)),
                    Err(error) => drop(done.send(Err(error.to_string()))),
                }
            }
            Order::Send(peer, message, done) => {
                let id = self.swarm.behaviour_mut().single.send_request(&peer, Some(message));
                self.sends.insert(id, done);
            }
            Order::Disconnect(peer) => drop(self.swarm.disconnect_peer_id(peer)),
        }
    }

    fn take_note(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::NewListenAddr { listener_id, address } => {
                if let Some(done) = self.listens.remove(&listener_id) {
                    let _ = done.send(Ok(address));
                }
            }
            SwarmEvent::ListenerClosed { listener_id, .. } => drop(self.listens.remove(&listener_id)),
            SwarmEvent::ConnectionEstablished {
                peer_id, connection_id, endpoint, established_in, ..
            } => {
                let handshake = endpoint.is_dialer().then_some(established_in);
                self.epoch += 1;
                let epoch = self.epoch;
                self.links.send_modify(|links| {
                    links.entry(peer_id).or_insert(Link { epoch, handshake: None }).handshake = handshake
                });
                if let Some(done) = self.dials.remove(&connection_id) {
                    let _ = done.send(Ok(()));
                }
            }
            SwarmEvent::ConnectionClosed { peer_id, num_established, cause, .. } => {
                eprintln!("connection to {peer_id} closed: {cause:?}");
                if num_established == 0 {
                    self.links.send_if_modified(|links| links.remove(&peer_id).is_some());
                }
            }
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
                if let Some(done) = self.dials.remove(&connection_id) {
                    let _ = done.send(Err(error.to_string()));
                }
            }
            SwarmEvent::Behaviour(BehaviourEvent::Single(event)) => self.take_single(event),
            _ => {}
        }
    }

    fn take_single(&mut self, event: rr::Event<crate::codec::Request, Response>) {
        match event {
            rr::Event::Message { message: rr::Message::Response { request_id, response }, .. } => {
                if let Some(done) = self.sends.remove(&request_id) {
                    let _ = done.send(response);
                }
            }
            rr::Event::Message { peer, message: rr::Message::Request { request, channel, .. }, .. } => {
                match self.inbox.decide(peer, request.as_deref()) {
                    Some(response) => {
                        drop(self.swarm.behaviour_mut().single.send_response(channel, response))
                    }
                    None => {
                        self.withheld.truncate(MAX_WITHHELD - 1);
                        self.withheld.push_front(channel);
                    }
                }
            }
            rr::Event::OutboundFailure { request_id, error, .. } => {
                eprintln!("no ack: {error}");
                self.sends.remove(&request_id);
            }
            rr::Event::InboundFailure { error, .. } => eprintln!("a message stream failed: {error}"),
            rr::Event::ResponseSent { .. } => {}
        }
    }
}
