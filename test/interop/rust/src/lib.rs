//! How to talk to a bitvmx-p2p node from Rust. Start reading at `frames`, then `sending` and `receiving` for
//! long-lived streams, or `codec` for `request_response`; `node` shows the swarm.

pub mod codec;
pub mod commands;
mod driver;
pub mod frames;
pub mod keys;
pub mod node;
pub mod receiving;
pub mod sending;
pub mod streams;
pub mod tap;
pub mod vectors;
