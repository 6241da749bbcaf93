// Offences before anybody has proved who it is. Each function commits one and settles when the node has ended it.
import { randomBytes } from 'node:crypto'
import {
  connect,
  lines,
  MULTISTREAM,
  negotiateNoise,
  NOISE,
  payload,
  readRecord,
  record,
  Session,
  untilThird
} from '../../support/wire/session.mjs'
import { Handshake, keyPair } from '../../support/wire/noise.mjs'
import { field, publicKeyMessage } from '../../support/wire/identity.mjs'
import { prefixed, readLine } from '../../support/wire/lines.mjs'
import { frame } from '../../support/wire/yamux.mjs'

const PAUSE_MS = 20
const PATIENCE_MS = 300

/** Connects, does what it is told, and waits for the end. */
const onWire = act => async peer => {
  const wire = await peer.wire()
  await act(wire, peer)
  return wire.closed
}

/** The same after Noise has been agreed on. */
const onNoise = act =>
  onWire(async (wire, peer) => {
    await negotiateNoise(wire)
    await act(wire, peer)
  })

const says = bytes => onWire(async wire => wire.send(bytes))

/** Everything right up to message 3; `third` makes that from the right one. */
const withThird = third =>
  onNoise(async (wire, peer) => {
    const handshake = await untilThird(wire)
    const right = handshake.writeThird(payload(peer.identity, handshake.staticKey.publicKey))
    await wire.send(third(right))
  })

/** Message 3 with another payload; `make` gets the identity and the static key. */
const withPayload = make =>
  onNoise(async (wire, peer) => {
    const handshake = await untilThird(wire)
    await wire.send(record(handshake.writeThird(make(peer, handshake.staticKey.publicKey))))
  })

const flipped = (bytes, at) => {
  const copy = Buffer.from(bytes)
  copy[at] ^= 1
  return copy
}

async function drip(wire, bytes) {
  for (const byte of bytes) {
    if (!wire.open) return
    await wire.send(Buffer.from([byte]))
    await new Promise(resolve => setTimeout(resolve, PAUSE_MS))
  }
}

/** Negotiates the muxer behind the handshake, badly. */
const withoutMuxer = act =>
  onNoise(async (wire, peer) => {
    const handshake = await untilThird(wire)
    const { publicKey } = handshake.staticKey
    await wire.send(record(handshake.writeThird(payload(peer.identity, publicKey, { muxers: [] }))))
    await act(new Session(wire, handshake.split(), 1))
  })

/** `${what}, cut after n bytes`: an orderly end in the middle of message 3. */
export const cutThird = async (peer, count) => {
  const wire = await peer.wire()
  await negotiateNoise(wire)
  const handshake = await untilThird(wire)
  const third = record(handshake.writeThird(payload(peer.identity, handshake.staticKey.publicKey)))
  await wire.send(third.subarray(0, count))
  wire.end()
  await wire.closed
  return third.length
}

/** A whole handshake in which one byte of one piece is another; or one byte is missing, or one too many. */
export const damagedHandshake = async (peer, { piece, at, how, value }) => {
  const wire = await peer.wire()
  const damaged = (number, bytes) => {
    if (number !== piece) return bytes
    const place = at % bytes.length
    if (how === 'missing') return Buffer.concat([bytes.subarray(0, place), bytes.subarray(place + 1)])
    const other = Buffer.from(bytes)
    other[place] ^= value
    if (how === 'changed') return other
    return Buffer.concat([bytes.subarray(0, place), Buffer.from([value]), bytes.subarray(place)])
  }
  // Some damage leaves both sides waiting for each other.
  const patience = setTimeout(() => wire.end(), PATIENCE_MS)
  try {
    await wire.send(damaged(0, lines(MULTISTREAM, NOISE)))
    await readLine(wire)
    await readLine(wire)
    const handshake = new Handshake({ initiator: true })
    await wire.send(damaged(1, record(handshake.writeFirst())))
    handshake.readSecond(await readRecord(wire))
    const third = handshake.writeThird(payload(peer.identity, handshake.staticKey.publicKey))
    await wire.send(damaged(2, record(third)))
  } catch {
    // The node has ended it, or its answer does not fit what was sent.
  }
  clearTimeout(patience)
  wire.end()
  return wire.closed
}

export const handshakeAttacks = {
  'connects and closes': onWire(wire => wire.end()),
  'connects and resets': onWire(async (wire, peer) => {
    // A peer that resets before the node has accepted it has no address any more, and has cost it next to nothing.
    await peer.accepted()
    wire.reset()
  }),
  'never speaks': onWire(() => {}),
  'speaks HTTP': says('GET / HTTP/1.1\r\nHost: node\r\n\r\n'),
  'speaks TLS': says(Buffer.concat([Buffer.from('160301020001000001fc0303', 'hex'), randomBytes(505)])),
  'speaks SSH': says('SSH-2.0-OpenSSH_9.6\r\n'),
  'sends random bytes': onWire(async (wire, peer) => wire.send(peer.random(1_000))),
  'sends zeros': says(Buffer.alloc(1_000)),
  'sends 64 KiB of ff': says(Buffer.alloc(65_536, 0xff)),
  'names another negotiation': onWire(async wire => {
    await wire.send(lines('/multistream/9.9.9'))
    await readLine(wire)
    wire.end()
  }),
  'writes a line without its end': says(prefixed(Buffer.from('/multistream/1.0.0.'))),
  'writes a line of 2,000 bytes': says(
    Buffer.concat([lines(MULTISTREAM), prefixed(Buffer.alloc(2_000, 0x2f))])
  ),
  'writes an empty line': says(Buffer.concat([lines(MULTISTREAM), Buffer.from([0])])),
  'offers only unknown security': onWire(async wire => {
    await wire.send(lines(MULTISTREAM, '/tls/1.0.0', '/plaintext/2.0.0'))
    for (let i = 0; i < 3; i++) await readLine(wire)
    wire.end()
  }),
  'offers 40 protocols': says(lines(MULTISTREAM, ...Array(40).fill('/x'))),
  'lists protocols for ever': says(lines(MULTISTREAM, ...Array(40).fill('ls'))),
  'is silent after the first line': says(lines(MULTISTREAM)),
  'is silent after Noise is agreed on': onNoise(() => {}),
  'is silent after message 1': onNoise(async wire => {
    await wire.send(record(new Handshake({ initiator: true }).writeFirst()))
  }),
  'is silent after message 2': onNoise(async wire => void (await untilThird(wire))),
  'drips the negotiation': onWire(async wire => drip(wire, lines(MULTISTREAM, ...Array(30).fill('/none')))),
  'drips message 1': onNoise(async wire => drip(wire, record(Buffer.alloc(300, 1)))),
  'resets after the first line': onWire(async wire => {
    await wire.send(lines(MULTISTREAM))
    await readLine(wire)
    wire.reset()
  }),
  'resets after Noise is agreed on': onNoise(wire => wire.reset()),
  'resets after message 1': onNoise(async wire => {
    await wire.send(record(new Handshake({ initiator: true }).writeFirst()))
    wire.reset()
  }),
  'resets after message 2': onNoise(async wire => {
    await untilThird(wire)
    wire.reset()
  }),
  'sends garbage for message 1': onNoise(async (wire, peer) => {
    await wire.send(record(peer.random(20)))
  }),
  'sends an empty message 1': onNoise(async wire => wire.send(Buffer.alloc(2))),
  'sends a short message 1': onNoise(async wire => wire.send(record(Buffer.alloc(31, 9)))),
  'sends a point of low order': onNoise(async wire => wire.send(record(Buffer.alloc(32)))),
  'sends a long message 1, then garbage': onNoise(async (wire, peer) => {
    const handshake = new Handshake({ initiator: true })
    await wire.send(record(Buffer.concat([handshake.writeFirst(), Buffer.alloc(60_000)])))
    await wire.send(record(peer.random(200)))
  }),
  'announces a record and cuts it off': onNoise(async wire => {
    await wire.send(Buffer.from([0xff, 0xff, 1, 2, 3]))
    wire.end()
  }),
  'sends garbage for message 3': onNoise(async (wire, peer) => {
    await untilThird(wire)
    await wire.send(record(peer.random(120)))
  }),
  'sends a short message 3': onNoise(async (wire, peer) => {
    await untilThird(wire)
    await wire.send(record(peer.random(47)))
  }),
  'truncates message 3': withThird(right => record(right.subarray(0, -1))),
  'flips a bit of the static key': withThird(right => record(flipped(right, 0))),
  'flips a bit of the first tag': withThird(right => record(flipped(right, 47))),
  'flips a bit of the payload': withThird(right => record(flipped(right, 60))),
  'flips a bit of the last tag': withThird(right => record(flipped(right, right.length - 1))),
  'replays message 3': async peer => {
    // A complete handshake first, which costs nothing; its message 3 is then sent in another one.
    const first = await peer.wire()
    await negotiateNoise(first)
    const handshake = await untilThird(first)
    const third = record(handshake.writeThird(payload(peer.identity, handshake.staticKey.publicKey)))
    await first.send(third)
    first.end()
    await first.closed
    return onNoise(async wire => {
      await untilThird(wire)
      await wire.send(third)
    })(peer)
  },
  'signs badly': withPayload((peer, staticKey) =>
    payload(peer.identity, staticKey, { signature: flipped(peer.identity.sign(staticKey), 10) })
  ),
  'does not sign': withPayload((peer, staticKey) =>
    payload(peer.identity, staticKey, { signature: Buffer.alloc(0) })
  ),
  'signs with another key': withPayload((peer, staticKey) =>
    payload(peer.identity, staticKey, { signature: peer.other.sign(staticKey) })
  ),
  'signs another static key': withPayload((peer, staticKey) =>
    payload(peer.identity, staticKey, { signature: peer.identity.sign(keyPair().publicKey) })
  ),
  'names no identity': withPayload((peer, staticKey) => field(2, peer.identity.sign(staticKey))),
  'names a short identity': withPayload((peer, staticKey) =>
    payload(peer.identity, staticKey, { identityKey: publicKeyMessage(1, Buffer.alloc(31, 4)) })
  ),
  'names an identity of an unknown kind': withPayload((peer, staticKey) =>
    payload(peer.identity, staticKey, { identityKey: publicKeyMessage(9, Buffer.alloc(32, 4)) })
  ),
  'names garbage as its identity': withPayload((peer, staticKey) =>
    payload(peer.identity, staticKey, { identityKey: Buffer.alloc(40, 0xff) })
  ),
  'sends a payload that is no protobuf': withPayload(peer => peer.random(150)),
  'sends an empty payload': withPayload(() => Buffer.alloc(0)),
  'has no muxer in common': withPayload((peer, staticKey) =>
    payload(peer.identity, staticKey, { muxers: ['/mplex/6.7.0'] })
  ),
  'negotiates an unknown muxer': withoutMuxer(async session => {
    await session.send(lines(MULTISTREAM, '/mplex/6.7.0'))
    await readRecord(session.wire)
    session.wire.end()
  }),
  'floods the muxer negotiation with ff': withoutMuxer(async session =>
    session.send(Buffer.alloc(65_536, 0xff))
  ),
  'negotiates no muxer': withoutMuxer(() => {}),
  'sends a broken record with message 3': async peer => {
    const session = await peer.connect({ trailing: () => record(Buffer.alloc(40, 7)) })
    return session.wire.closed
  },
  'sends a broken frame with message 3': async peer => {
    const session = await peer.connect({ trailing: own => own.seal(frame({ version: 9, type: 0 })) })
    return session.wire.closed
  },
  /** A whole handshake; the node turns the peer away for who it is, or for where it comes from. */
  'shakes hands': async peer => {
    const session = await connect(peer.target, peer.identity)
    return session.wire.closed
  }
}

export { NOISE }
