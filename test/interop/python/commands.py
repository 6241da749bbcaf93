"""The commands of the scenarios."""

import os
import time

import multiaddr
import trio
from libp2p import new_host
from libp2p.crypto.ed25519 import Ed25519PrivateKey
from libp2p.crypto.keys import KeyPair
from libp2p.crypto.pb import crypto_pb2
from libp2p.crypto.serialization import deserialize_private_key
from libp2p.host.ping import ID as PING
from libp2p.network.config import ConnectionConfig, RetryConfig
from libp2p.network.stream.exceptions import StreamReset
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import PeerInfo

from frames import ACCEPTED, MAX_MESSAGE, PROTOCOL, REFUSED_FULL
from receiving import Inbox
from sending import Sending
from streams import log, receive


def private_key(protobuf: bytes):
    message = crypto_pb2.PrivateKey.FromString(protobuf)
    if message.key_type == crypto_pb2.Ed25519:
        # libp2p writes the seed and the public key behind it. py-libp2p reads a seed alone.
        return Ed25519PrivateKey.from_bytes(message.data[:32])
    return deserialize_private_key(protobuf)


class Peer(Sending):
    def __init__(self, key):
        self.host = new_host(
            key_pair=KeyPair(key, key.get_public_key()),
            muxer_preference="YAMUX",
            # Otherwise it connects anew, unasked, to whom it has lost.
            connection_config=ConnectionConfig(min_connections=0),
        )
        # Left to itself, py-libp2p dials four times, and then not at all for a while.
        self.host.get_network().retry_config = RetryConfig(max_retries=0)
        self.inbox = Inbox()
        self.long = {}
        self.handshakes = {}
        self.host.set_stream_handler(PROTOCOL, self.inbox.serve)

    def is_connected(self, peer) -> bool:
        return peer in self.host.get_connected_peers()

    async def gone(self, peer):
        while self.is_connected(peer):
            await trio.sleep(0.02)

    async def open(self, peer, protocol=PROTOCOL):
        if not self.is_connected(peer):
            raise ConnectionError("not connected")
        return await self.host.new_stream(peer, [protocol])

    async def listen(self, c):
        await self.host.get_network().listen(multiaddr.Multiaddr(c["address"]))
        return {"addresses": [str(address) for address in self.host.get_addrs()]}

    async def dial(self, c):
        peer, address = ID.from_string(c["peerId"]), c["address"].split("/p2p/")[0]
        if not self.is_connected(peer):
            started = time.perf_counter()
            self.host.get_peerstore().clear_addrs(peer)
            self.host.get_network().unblock_peer(peer)
            await self.host.connect(PeerInfo(peer, [multiaddr.Multiaddr(address)]))
            self.handshakes[peer] = (time.perf_counter() - started) * 1000
        if not self.is_connected(peer):
            raise ConnectionError("not connected to the one who was asked for")
        # Only this shows that the other side has admitted this one.
        self.long[peer] = await self.open(peer)
        return {}

    async def send(self, c):
        peer, fate = ID.from_string(c["peerId"]), [0, 0, 0]
        started = time.perf_counter()
        await (self.send_long if c["mode"] == "long" else self.send_single)(peer, c, fate)
        acks = {str(status): count for status, count in enumerate(fate)}
        return {
            "acks": acks,
            "unanswered": c["count"] - sum(fate),
            "ms": (time.perf_counter() - started) * 1000,
        }

    async def receive(self, c):
        acks = c["acks"]
        answers = {"0": bytes([1, ACCEPTED]), "1": bytes([1, REFUSED_FULL]), "withhold": b""}
        self.inbox.answer = bytes.fromhex(c["raw"]) if acks == "raw" else answers[acks]
        self.inbox.accept, self.inbox.limit = acks == "0", c.get("limit", MAX_MESSAGE)
        return {}

    async def expect(self, c):
        peer, answer = ID.from_string(c["peerId"]), None
        was_connected = self.is_connected(peer)
        async with trio.open_nursery() as nursery:

            async def give_up():
                await self.gone(peer)
                nursery.cancel_scope.cancel()

            if was_connected:
                nursery.start_soon(give_up)
            answer = await self.inbox.expect(peer, c["count"])
            nursery.cancel_scope.cancel()
        if answer is None:
            raise ConnectionError("the connection has ended")
        return answer

    async def raw(self, c):
        peer = ID.from_string(c["peerId"])
        stream, read, ended = await self.open(peer), b"", "open"
        try:
            await stream.write(bytes.fromhex(c["hex"]))
            if c["end"] == "close":
                await stream.close_write()
            if c["end"] == "reset":
                await stream.reset()
                return {"read": "", "ended": "reset"}
        except Exception as error:
            log("cannot write:", repr(error))
        with trio.move_on_after(1 if c["end"] == "leave" else float("inf")):
            try:
                while piece := await receive(stream):
                    read += piece
                ended = "reset" if stream.muxed_stream.reset_received else "closed"
            except StreamReset:
                ended = "reset"
            except Exception as error:
                log("cannot read:", repr(error))
                ended = "connection"
        if ended != "open" and not self.is_connected(peer):
            ended = "connection"
        return {"read": read.hex(), "ended": ended}

    async def ping(self, c):
        peer = ID.from_string(c["peerId"])
        stream, trips = await self.open(peer, PING), []
        for _ in range(c["count"]):
            sent, back, started = os.urandom(32), b"", time.perf_counter()
            await stream.write(sent)
            while len(back) < 32:
                if not (piece := await receive(stream)):
                    raise ConnectionError("the stream has ended")
                back += piece
            trips.append((time.perf_counter() - started) * 1000)
            if back != sent:
                raise ValueError("the echo is not what was sent")
        await stream.close()
        return {"rttMs": trips, "handshakeMs": self.handshakes.get(peer)}

    async def connected(self, c):
        return {"connected": self.is_connected(ID.from_string(c["peerId"]))}

    async def untilDisconnected(self, c):
        await self.gone(ID.from_string(c["peerId"]))
        return {}

    async def disconnect(self, c):
        await self.host.disconnect(ID.from_string(c["peerId"]))
        return {}
