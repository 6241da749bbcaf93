//! A peer that breaks the rules, one attack after the other, and prints a JSON line about the end of each.
//!
//!     hostile --key HEX --peer ID --address MULTIADDR [--attack NAME]
//!
//! `ended` is `reset` or `closed` (the stream of the attack), `connection` (with everything), or `open` (nothing has
//! ended within seven seconds). An attack that did not come off has an `error` beside it; one by somebody whom the
//! node already bars ends so.

mod attacks;
mod session;

use std::error::Error;

use libp2p::identity::Keypair;
use serde_json::json;
use session::Target;

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str| arguments.windows(2).find(|pair| pair[0] == name).map(|pair| pair[1].as_str());
    let (Some(key), Some(peer), Some(address)) = (option("--key"), option("--peer"), option("--address"))
    else {
        return Err("usage: hostile --key HEX --peer ID --address MULTIADDR [--attack NAME]".into());
    };
    let target = Target {
        key: Keypair::from_protobuf_encoding(&hex::decode(key)?)?,
        peer: peer.parse()?,
        address: session::socket_address(&address.parse()?)
            .ok_or("wanted an address with an IP and a TCP port")?,
    };
    let names = match option("--attack") {
        Some(name) => vec![name],
        None => attacks::names(),
    };
    for name in names {
        let mut line = match attacks::run(name, &target).await {
            Ok(outcome) => outcome,
            Err(error) => json!({ "ended": "connection", "ms": 0, "error": error }),
        };
        line["attack"] = name.into();
        println!("{line}");
    }
    Ok(())
}
