"""The Python reference peer: commands as JSON lines on standard input, answers on standard output.

    peer.py --key HEX
    peer.py vectors FILE
"""

import importlib.metadata
import json
import os
import sys

import trio

from commands import Peer, private_key
from vectors import check

COMMANDS = "listen dial send receive expect raw ping connected untilDisconnected disconnect".split()


def say(members):
    print(json.dumps(members), flush=True)


async def serve(key_hex):
    peer = Peer(private_key(bytes.fromhex(key_hex)))

    async def run(c):
        try:
            if c["command"] not in COMMANDS:
                raise ValueError("no such command")
            say({"id": c["id"], "ok": True, **await getattr(peer, c["command"])(c)})
        except Exception as error:
            say({"id": c["id"], "ok": False, "error": repr(error)})

    async with peer.host.run([]), trio.open_nursery() as nursery:
        version = importlib.metadata.version("libp2p")
        say(
            {
                "event": "ready",
                "peerId": str(peer.host.get_id()),
                "implementation": f"py-libp2p {version}",
                "modes": ["single", "long"],
            }
        )
        async for line in trio.wrap_file(sys.stdin):
            command = json.loads(line)
            if command["command"] == "quit":
                say({"id": command["id"], "ok": True})
                break
            nursery.start_soon(run, command)
        sys.stdout.flush()
        # Closing everything in good order can take py-libp2p seconds.
        os._exit(0)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--key", key]:
            trio.run(serve, key)
        case ["vectors", file]:
            sys.exit(check(file))
        case _:
            sys.exit("usage: peer.py --key HEX | peer.py vectors FILE")
