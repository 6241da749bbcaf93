"""The frames of docs/protocol.md: a length as a minimal varint of at most four bytes, then that many bytes."""

PROTOCOL = "/bitvmx/comms/1.0.0"
MAX_PREFIX = 4
MAX_MESSAGE = 8 * 1024 * 1024
MAX_ACK = 64
ACCEPTED, REFUSED_FULL, REFUSED_TOO_LARGE = 0, 1, 2


class Violation(Exception):
    """What the other side must not write. The text is the violation's name in the test vectors."""


class End(Exception):
    """The stream has ended, between two frames."""


def frame(payload: bytes) -> bytes:
    prefix, left = bytearray(), len(payload)
    while left >= 0x80:
        prefix.append(left & 0x7F | 0x80)
        left >>= 7
    prefix.append(left)
    return bytes(prefix) + payload


class Frames:
    """Reads frames. `receive` gives the next bytes of a stream, in whatever pieces they come, or none at its end."""

    def __init__(self, receive):
        self._receive = receive
        self._buffer = bytearray()

    async def _have(self, count: int) -> bool:
        while len(self._buffer) < count:
            piece = await self._receive()
            if not piece:
                return False
            self._buffer += piece
        return True

    async def begun(self) -> None:
        """Waits for the first byte of a frame."""
        if not await self._have(1):
            raise End

    async def next(self, limit: int) -> bytes:
        await self.begun()
        length = 0
        for i in range(MAX_PREFIX):
            if not await self._have(i + 1):
                raise Violation("cut-off")
            byte = self._buffer[i]
            if byte == 0 and i > 0:
                raise Violation("not-minimal")
            length |= (byte & 0x7F) << (7 * i)
            if byte < 0x80:
                break
        else:
            raise Violation("prefix-too-long")
        if length > limit:
            raise Violation("too-large")
        if not await self._have(i + 1 + length):
            raise Violation("cut-off")
        payload = bytes(self._buffer[i + 1 : i + 1 + length])
        del self._buffer[: i + 1 + length]
        return payload

    async def ack(self) -> int:
        """The status of the next ack. What follows it is reserved, and ignored."""
        try:
            payload = await self.next(MAX_ACK)
        except Violation as violation:
            raise Violation("too-long") if str(violation) == "too-large" else violation
        if not payload:
            raise Violation("empty")
        if payload[0] > REFUSED_TOO_LARGE:
            raise Violation("unknown-status")
        return payload[0]
