"""Checks the test vectors with this code and py-libp2p's keys. The allow lists are no affair of a peer's."""

import hashlib
import json

import trio
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from libp2p.peer.id import ID

from commands import private_key
from frames import MAX_MESSAGE, End, Frames, Violation


def key_hash(key) -> str:
    """BitVMX's own name for the owner of a key: the SHA-256 of its SubjectPublicKeyInfo in DER."""
    raw = key.to_bytes()
    match key.get_type().name:
        case "Ed25519":
            public = ed25519.Ed25519PublicKey.from_public_bytes(raw)
        case "Secp256k1":
            public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256K1(), raw)
        case "RSA":
            public = load_der_public_key(raw)
    return hashlib.sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


async def read_all(data: bytes, size: int, read):
    """What `read` finds in these bytes, given in pieces of that size, and then the fault."""
    pieces = iter([data[at : at + size] for at in range(0, len(data), size)])

    async def receive():
        return next(pieces, b"")

    frames, found = Frames(receive), []
    try:
        while True:
            found.append(await read(frames))
    except End:
        return found, None
    except Violation as violation:
        return found, str(violation)


def told(message: bytes):
    if len(message) <= 127:
        return message.hex()
    return {"length": len(message), "sha256": hashlib.sha256(message).hexdigest()}


def check(file: str) -> int:
    with open(file) as opened:
        vectors = json.load(opened)
    checked, failed = 0, []

    def compare(name, found, wanted):
        nonlocal checked
        checked += 1
        if found != wanted:
            failed.append(f"{name}: {found}")

    for v in vectors["frames"]:
        for size in (1, 100_000):
            read = lambda frames: frames.next(v.get("limit", MAX_MESSAGE))
            found, fault = trio.run(read_all, bytes.fromhex(v["hex"]), size, read)
            compare(f"frames: {v['name']}", ([told(one) for one in found], fault), (v["messages"], v["fault"]))
    for v in vectors["acks"]:
        for size in (1, 100_000):
            found, fault = trio.run(read_all, bytes.fromhex(v["hex"]), size, Frames.ack)
            compare(f"acks: {v['name']}", (found, fault), (v["statuses"], v["fault"]))
    for v in vectors["keys"]:
        key = private_key(bytes.fromhex(v["privateKeyHex"])).get_public_key()
        found = key.serialize().hex(), str(ID.from_pubkey(key)), key_hash(key)
        compare(f"keys: {v['peerId']}", found, (v["publicKeyHex"], v["peerId"], v["keyHash"]))
    print(json.dumps({"checked": checked, "failed": failed}))
    return 1 if failed else 0
