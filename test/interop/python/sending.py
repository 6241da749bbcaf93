"""Messages to a peer: all on one stream that stays open, or each on a stream of its own."""

import trio

from frames import REFUSED_TOO_LARGE, Frames, frame
from streams import log, receive


def message(i: int, size: int) -> bytes:
    whole = bytearray((i * 7 + j) & 0xFF for j in range(min(size, 256)))
    whole = (whole * (size // 256 + 1))[:size]
    if size >= 4:
        whole[:4] = i.to_bytes(4, "big")
    return bytes(whole)


class Sending:
    """The part of a peer that sends. `fate` counts the acks of each status."""

    async def send_long(self, peer, c, fate):
        try:
            stream = self.long.pop(peer, None) or await self.open(peer)
        except Exception as error:
            return log("no stream:", repr(error))
        window, over = trio.Semaphore(c["window"]), False

        async def write():
            try:
                for i in range(c["count"]):
                    await window.acquire()
                    if over:
                        return
                    await stream.write(frame(message(i, c["size"])))
            except Exception as error:
                log("cannot write more:", repr(error))

        frames = Frames(lambda: receive(stream))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(write)
            try:
                while sum(fate) < c["count"]:
                    fate[await frames.ack()] += 1
                    window.release()
                # A refusal as too large is the last thing that comes on a stream.
                if not fate[REFUSED_TOO_LARGE]:
                    self.long[peer] = stream
            except Exception as error:
                log("no more acks:", repr(error))
                # To cancel a write would cut a Noise message off, and with it the connection: the reset ends it.
                over = True
                window.release()
                await stream.reset()

    async def send_single(self, peer, c, fate):
        numbers = iter(range(c["count"]))

        async def sender():
            for i in numbers:
                try:
                    fate[await self.send_one(peer, frame(message(i, c["size"])))] += 1
                except* Exception as errors:
                    log("no ack:", errors.exceptions)

        async with trio.open_nursery() as nursery:
            for _ in range(c["window"]):
                nursery.start_soon(sender)

    async def send_one(self, peer, frame) -> int:
        stream = await self.open(peer)

        async def write():
            try:
                await stream.write(frame)
                await stream.close_write()
            except Exception as error:
                log("cannot write:", repr(error))

        # After a write that a refusal as too large has cut short, py-libp2p reads no more: read meanwhile.
        async with trio.open_nursery() as nursery:
            nursery.start_soon(write)
            try:
                status = await Frames(lambda: receive(stream)).ack()
            except Exception:
                await stream.reset()
                raise
        await stream.close()
        return status
