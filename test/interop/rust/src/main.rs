//! The Rust reference peer: commands as JSON lines on standard input, answers on standard output.
//!
//!     peer --key HEX [--inbound streams|request-response]
//!     peer vectors FILE

use std::{error::Error, sync::Arc};

use bitvmx_reference_peer::{
    commands::{Command, Context},
    node::{Inbound, Node},
    receiving::Inbox,
    vectors,
};
use libp2p::identity::Keypair;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, stdin, stdout},
    sync::mpsc,
    task::JoinSet,
};

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (key, inbound) = match arguments[..] {
        ["vectors", file] => return vectors::check(&std::fs::read_to_string(file)?),
        ["--key", key] | ["--key", key, "--inbound", "streams"] => (key, Inbound::Streams),
        ["--key", key, "--inbound", "request-response"] => (key, Inbound::RequestResponse),
        _ => {
            return Err(
                "usage: peer --key HEX [--inbound streams|request-response] | peer vectors FILE".into()
            );
        }
    };
    let inbox = Arc::new(Inbox::default());
    let key = Keypair::from_protobuf_encoding(&hex::decode(key)?)?;
    let node = Node::start(key, inbound, inbox.clone())?;
    serve(Arc::new(Context { node, inbox, long: Default::default() })).await
}

/// Carries out every command in a task of its own, until the input ends or says so.
async fn serve(context: Arc<Context>) -> Result<(), Box<dyn Error>> {
    let (answers, lines) = mpsc::channel(64);
    let writer = tokio::spawn(write_lines(lines));
    let ready = json!({
        "event": "ready",
        "peerId": context.node.peer_id.to_string(),
        "implementation": implementation(),
        "modes": ["single", "long"]
    });
    answers.send(ready).await?;
    let mut running = JoinSet::new();
    let mut commands = BufReader::new(stdin()).lines();
    while let Some(line) = commands.next_line().await? {
        let id = serde_json::from_str::<Value>(&line).map_or(Value::Null, |value| value["id"].clone());
        let command = match serde_json::from_str(&line) {
            Ok(command) => command,
            Err(error) => {
                answers.send(json!({ "id": id, "ok": false, "error": error.to_string() })).await?;
                continue;
            }
        };
        if let Command::Quit = command {
            answers.send(json!({ "id": id, "ok": true })).await?;
            break;
        }
        let (context, answers) = (context.clone(), answers.clone());
        while running.try_join_next().is_some() {}
        running.spawn(async move {
            let answer = match context.run(command).await {
                Ok(mut members) => {
                    members["id"] = id;
                    members["ok"] = true.into();
                    members
                }
                Err(error) => json!({ "id": id, "ok": false, "error": error }),
            };
            let _ = answers.send(answer).await;
        });
    }
    // Commands that still wait are given up, but what has been answered is written.
    running.shutdown().await;
    drop(answers);
    Ok(writer.await??)
}

async fn write_lines(mut lines: mpsc::Receiver<Value>) -> std::io::Result<()> {
    let mut out = stdout();
    while let Some(line) = lines.recv().await {
        out.write_all(format!("{line}\n").as_bytes()).await?;
        out.flush().await?;
    }
    Ok(())
}

/// The version that was built in, from the lock file.
fn implementation() -> String {
    let lock = include_str!("../Cargo.lock");
    let version = lock.split("[[package]]").find(|package| package.contains("\nname = \"libp2p\"\n"));
    let version = version.and_then(|package| package.split('"').nth(3)).unwrap_or("of an unknown version");
    format!("rust-libp2p {version}")
}
