"""What all parts need of py-libp2p's streams."""

import sys

from libp2p.network.stream.exceptions import StreamEOF

PIECE = 64 * 1024


def log(*what):
    print(*what, file=sys.stderr, flush=True)


async def receive(stream) -> bytes:
    try:
        return await stream.read(PIECE)
    except StreamEOF:
        return b""
