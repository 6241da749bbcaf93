"""Messages that arrive: counted, and answered."""

import hashlib

import trio

from frames import ACCEPTED, MAX_MESSAGE, REFUSED_TOO_LARGE, End, Frames, Violation
from streams import log, receive

MESSAGE_TIMEOUT = 30


class Inbox:
    """Counts the messages that arrive, and answers them as the runner wishes."""

    def __init__(self):
        self.answer, self.accept, self.limit = bytes([1, ACCEPTED]), True, MAX_MESSAGE
        self.tallies = {}
        self.news = trio.Condition()

    async def serve(self, stream):
        acks = bytearray()

        async def arrivals():
            # The acks of all messages that arrived together are written together.
            if acks:
                await stream.write(bytes(acks))
                acks.clear()
            return await receive(stream)

        frames = Frames(arrivals)
        try:
            while True:
                await frames.begun()
                with trio.fail_after(MESSAGE_TIMEOUT):
                    payload = await frames.next(self.limit)
                if self.accept:
                    await self.take(stream.muxed_conn.peer_id, payload)
                acks += self.answer
        except End:
            await stream.close()
        except Violation as violation:
            if str(violation) == "too-large":
                acks += bytes([1, REFUSED_TOO_LARGE])
            if acks:
                await stream.write(bytes(acks))
            if str(violation) == "too-large":
                await stream.close_write()
            await stream.reset()
            log("reset a message stream:", violation)
        except Exception as error:
            log("lost a message stream:", repr(error))
            await stream.reset()

    async def take(self, peer, payload):
        tally = self.tallies.setdefault(peer, [0, 0, hashlib.sha256()])
        tally[0] += 1
        tally[1] += len(payload)
        tally[2].update(len(payload).to_bytes(4, "big") + payload)
        async with self.news:
            self.news.notify_all()

    async def expect(self, peer, count):
        async with self.news:
            while self.tallies.get(peer, [0])[0] < count:
                await self.news.wait()
        found, size, digest = self.tallies.pop(peer, (0, 0, hashlib.sha256()))
        return {"count": found, "bytes": size, "sha256": digest.hexdigest()}
