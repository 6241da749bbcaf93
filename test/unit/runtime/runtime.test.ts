import type { MultiaddrConnection } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { describe, expect, it } from 'vitest'
import { Word } from '../../../src/bridge/control-block.ts'
import type { Link } from '../../../src/libp2p/link.ts'
import { ALICE, BOB, CAROL } from '../allow-list/names.ts'
import { frame, message, TestStream } from '../protocol/support.ts'
import { FakeLink } from './fakes.ts'
import { RuntimeScene, settled } from './scene.ts'

const HERE = '10.0.0.7'
/** Control events that may be unread. */
const MAX_UNREAD_CONTROL = 65_536

function from(ip: string): MultiaddrConnection {
  return { remoteAddr: multiaddr(`/ip4/${ip}/tcp/4001`) } as unknown as MultiaddrConnection
}

/** A connection of a peer that is not barred comes to the gater, once for each of `times`. */
function turnAway(scene: RuntimeScene, peerId: string, ip: string, times = 1): MultiaddrConnection {
  const connection = from(ip)
  for (let i = 0; i < times; i++) {
    expect(scene.nodeInit.gater.denyInboundEncryptedConnection!(peerIdFromString(peerId), connection)).toBe(
      true
    )
  }
  return connection
}

const isBarred = ({ nodeInit }: RuntimeScene, key: string): boolean => nodeInit.guard.isBarred(key)

/** Empties the bucket of an address, and bars it. */
function barAddress(scene: RuntimeScene, ip: string): void {
  for (let i = 0; i <= 10; i++) scene.nodeInit.guard.failed(ip, 'silence')
}

describe('a node', () => {
  it('is made with what the options say', async () => {
    const scene = await RuntimeScene.start({
      heartbeatMs: 7_000,
      limits: { handshakeTimeoutMs: 3_000, maxMessageBytes: 10_000_000 }
    })
    expect(scene.nodeInit).toMatchObject({
      listen: ['/ip4/127.0.0.1/tcp/0'],
      heartbeatMs: 7_000,
      handshakeTimeoutMs: 3_000,
      maxInFlightBytes: 10_000_000
    })
    const small = await RuntimeScene.start({ limits: { maxMessageBytes: 100 } })
    expect(small.nodeInit.maxInFlightBytes).toBe(4 * 1024 * 1024)
    expect(await new RuntimeScene({}).runtime.start()).toEqual(['/ip4/127.0.0.1/tcp/4001'])
  })

  it('has room for maxConnections, those under way counted in and those that have ended not', async () => {
    const scene = await RuntimeScene.start({ allowList: 'allow-all', limits: { maxConnections: 3 } })
    const { hasRoom } = scene.nodeInit.guard
    expect(hasRoom(2)).toBe(true)
    expect(hasRoom(3)).toBe(false)
    scene.connect(ALICE)
    const bob = scene.connect(BOB)
    expect(hasRoom(0)).toBe(true)
    expect(hasRoom(1)).toBe(false)
    scene.connect(CAROL)
    expect(hasRoom(0)).toBe(false)
    bob.abort({ code: 'lost', reason: 'reset' })
    expect(hasRoom(0)).toBe(true)
    for (let i = 0; i < 100; i++) scene.connect(BOB).abort({ code: 'lost', reason: 'reset' })
    expect(hasRoom(0)).toBe(true)
    expect(hasRoom(1)).toBe(false)
  })

  it('lets nobody in and tells of no stranger while 65,536 control events are unread', async () => {
    const scene = await RuntimeScene.start({ allowList: [] })
    const { guard } = scene.nodeInit
    for (let i = 1; i < MAX_UNREAD_CONTROL; i++) {
      scene.events.control({ type: 'Error', code: 'ERR_NOT_ALLOWED', message: '' })
    }
    expect(guard.hasRoom(0)).toBe(true)
    turnAway(scene, BOB, HERE)
    expect(scene.events.unreadControl).toBe(MAX_UNREAD_CONTROL)
    expect(guard.hasRoom(0)).toBe(false)
    turnAway(scene, BOB, HERE)
    expect(scene.events.unreadControl).toBe(MAX_UNREAD_CONTROL)
    // It is not told, and paid for all the same.
    expect(scene.debits(HERE)).toHaveLength(2)
    expect(guard.hasRoom(0)).toBe(false)
    Atomics.add(scene.control, Word.controlRead, 1)
    expect(guard.hasRoom(0)).toBe(true)
  })

  it('tells lack of room at most every 10 s, with the last address', async () => {
    const scene = await RuntimeScene.start()
    const { guard } = scene.nodeInit
    guard.refused('10.0.0.1')
    expect(scene.told()).toEqual([
      {
        type: 'Error',
        code: 'ERR_NOT_ALLOWED',
        message: 'connections are turned away for lack of room, the last one from 10.0.0.1',
        ip: '10.0.0.1'
      }
    ])
    scene.clock.advance(9_999)
    guard.refused('10.0.0.2')
    expect(scene.told()).toEqual([])
    scene.clock.advance(1)
    guard.refused('10.0.0.3')
    expect(scene.told()).toMatchObject([{ ip: '10.0.0.3' }])
    guard.refused('10.0.0.4')
    expect(scene.told()).toEqual([])
    expect(scene.inspect().buckets).toEqual([])
  })
})

describe('who pays', () => {
  it('for a handshake that failed: the address, IPv6 by its /64', async () => {
    const scene = await RuntimeScene.start()
    scene.nodeInit.guard.failed(HERE, 'silence')
    scene.nodeInit.guard.failed('2001:db8::1', 'no Noise')
    scene.nodeInit.guard.failed('2001:db8::2', 'no muxer')
    expect(scene.debits(HERE)).toEqual(['failed-handshake: silence (1)'])
    expect(scene.debits('2001:db8::/64')).toEqual([
      'failed-handshake: no Noise (1)',
      'failed-handshake: no muxer (1)'
    ])
    expect(scene.told()).toEqual([])
  })

  it('for a stranger: its address, which is told, and the guard need not charge that connection again', async () => {
    const scene = await RuntimeScene.start({ allowList: [] })
    const connection = turnAway(scene, BOB, HERE)
    expect(scene.debits(HERE)).toEqual([`unknown-peer: ${BOB} is not on the allow list (1)`])
    expect(scene.debits(BOB)).toEqual([])
    expect(scene.told()).toEqual([
      {
        type: 'Error',
        code: 'ERR_NOT_ALLOWED',
        message: `a connection from ${HERE} was turned away: ${BOB} is not on the allow list`,
        ip: HERE,
        peerId: BOB
      }
    ])
    expect(scene.nodeInit.guard.wasDenied(connection)).toBe(true)
    expect(scene.nodeInit.guard.wasDenied(from(HERE))).toBe(false)
  })

  it('for a listed peer from elsewhere: the address, and never the peer', async () => {
    const scene = await RuntimeScene.start({ allowList: [{ peerId: BOB, ips: ['10.0.0.1'] }] })
    turnAway(scene, BOB, HERE)
    expect(scene.debits(HERE)).toEqual([`ip-mismatch: ${BOB} is on the allow list, but not at ${HERE} (1)`])
    expect(scene.debits(BOB)).toEqual([])
  })

  it('for a peer that was removed while it was shaking hands: its address', async () => {
    const scene = await RuntimeScene.start({ allowList: [{ peerId: BOB }] })
    const { gater } = scene.nodeInit
    const connection = from(HERE)
    expect(gater.denyInboundEncryptedConnection!(peerIdFromString(BOB), connection)).toBe(false)
    scene.request({ method: 'allow-list.remove', peerId: BOB })
    expect(gater.denyInboundUpgradedConnection!(peerIdFromString(BOB), connection)).toBe(true)
    expect(scene.debits(HERE)).toHaveLength(1)
  })

  it('for a barred peer that connects again and again: nobody 32 times and one a second, then the address', async () => {
    const scene = await RuntimeScene.start()
    const link = scene.connect(BOB)
    for (let i = 0; i <= 10; i++) scene.stream(link).receive(Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff))
    expect(isBarred(scene, BOB)).toBe(true)
    scene.told()
    turnAway(scene, BOB, HERE, 32)
    expect(scene.debits(HERE)).toEqual([])
    turnAway(scene, BOB, HERE)
    expect(scene.debits(HERE)).toEqual([`protocol-abuse: ${BOB} is barred and connects again and again (1)`])
    scene.clock.advance(2_000)
    turnAway(scene, BOB, HERE, 2)
    expect(scene.debits(HERE)).toHaveLength(1)
    turnAway(scene, BOB, HERE)
    expect(scene.debits(HERE)).toHaveLength(2)
    expect(scene.told()).toEqual([])
  })

  it('for a barred address that connects: nobody', async () => {
    const scene = await RuntimeScene.start()
    barAddress(scene, HERE)
    scene.told()
    const before = scene.debits(HERE)
    for (let i = 0; i < 100; i++) {
      expect(scene.nodeInit.gater.denyInboundConnection!(from(HERE))).toBe(true)
    }
    expect(scene.debits(HERE)).toEqual(before)
    expect(scene.told()).toEqual([])
    // Nor does it use up what the reconnects of a barred peer have there.
    scene.clock.advance(10_000)
    const link = scene.connect(BOB)
    for (let i = 0; i <= 10; i++) scene.stream(link).receive(Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff))
    turnAway(scene, BOB, HERE, 32)
    expect(isBarred(scene, HERE)).toBe(false)
  })

  it('for messages that do not decode: the peer', async () => {
    const scene = await RuntimeScene.start()
    scene.stream(scene.connect(BOB)).receive(Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff))
    expect(scene.debits(BOB)).toEqual([expect.stringMatching(/^malformed-message: .+ \(1\)$/)])
  })

  it('for too many message streams at once: the peer', async () => {
    const scene = await RuntimeScene.start()
    const link = scene.connect(BOB)
    const streams = Array.from({ length: 256 }, () => scene.stream(link))
    expect(scene.debits(BOB)).toEqual([])
    expect(scene.stream(link).status).toBe('aborted')
    expect(scene.debits(BOB)).toEqual(['malformed-message: more than 256 message streams at once (1)'])
    streams[0]!.receiveReset()
    await settled()
    expect(scene.stream(link).status).toBe('open')
    expect(scene.debits(BOB)).toHaveLength(1)
  })

  it('for the fault that has ended a connection: the peer, by its cause', async () => {
    const scene = await RuntimeScene.start()
    const link = scene.connect(BOB)
    link.fault = { cause: 'protocol-abuse', reason: 'a flood of pings' }
    link.abort({ code: 'protocol', reason: 'a flood of pings' })
    expect(scene.debits(BOB)).toEqual(['protocol-abuse: a flood of pings (1)'])
  })

  it('for acks that do not come although the peer is heard: the peer', async () => {
    const scene = await RuntimeScene.start({ allowList: 'allow-all', limits: { ackTimeoutMs: 1_000 } })
    const link = scene.connect(BOB)
    scene.send(3, BOB, frame(message(0)))
    scene.runtime.drainCommands()
    await settled()
    link.answer(true)
    await settled()
    scene.told()
    for (let ms = 0; ms < 40_000; ms += 500) {
      scene.clock.advance(500)
      link.hear(scene.clock.now())
      await settled()
    }
    expect(scene.told()).toEqual([{ type: 'Status', handle: 3, outcome: 'ack-timeout', count: 1 }])
    expect(scene.debits(BOB)).toEqual(['unanswered-ack: a message was not answered in time (1)'])
  })

  it('nobody any more once the node stops', async () => {
    const scene = await RuntimeScene.start({ allowList: [] })
    void scene.runtime.stop()
    scene.told()
    scene.nodeInit.guard.failed(HERE, 'silence')
    turnAway(scene, BOB, HERE)
    expect(scene.inspect().buckets).toEqual([])
    expect(scene.nodeInit.guard.wasDenied(from(HERE))).toBe(true)
  })
})

describe('an empty bucket', () => {
  it('of an address ends its handshakes and bars it until a token is back; connections of peers stay', async () => {
    const scene = await RuntimeScene.start({ allowList: 'allow-all' })
    const link = scene.connect(BOB, 'inbound', { ip: HERE })
    scene.told()
    for (let i = 0; i < 10; i++) scene.nodeInit.guard.failed(HERE, 'silence')
    expect(isBarred(scene, HERE)).toBe(false)
    scene.nodeInit.guard.failed(HERE, 'silence')
    expect(isBarred(scene, HERE)).toBe(true)
    expect(scene.log).toEqual([`end handshakes of ${HERE}: token bucket empty: failed-handshake`])
    expect(scene.told()).toEqual([{ type: 'ConnectionLimit', ip: HERE, cause: 'failed-handshake' }])
    expect(link.open).toBe(true)
    scene.clock.advance(9_999)
    expect(isBarred(scene, HERE)).toBe(true)
    scene.clock.advance(1)
    expect(isBarred(scene, HERE)).toBe(false)
  })

  it('of a peer ends its connections and its dials, and bars it', async () => {
    const scene = await RuntimeScene.start({ allowList: 'allow-all', rateLimit: { capacity: 1, costs: {} } })
    const link = scene.connect(BOB)
    const other = scene.connect(CAROL)
    const another = scene.connect(BOB, 'outbound')
    scene.told()
    for (let i = 0; i < 2; i++) scene.stream(link).receive(Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff))
    expect(link.open).toBe(false)
    expect(another.open).toBe(false)
    expect(other.open).toBe(true)
    expect(link.end).toEqual({ code: 'barred', reason: 'token bucket empty: malformed-message' })
    expect(scene.told()).toEqual([
      {
        type: 'Disconnected',
        peerId: BOB,
        code: 'barred',
        reason: 'token bucket empty: malformed-message'
      },
      { type: 'ConnectionLimit', peerId: BOB, cause: 'malformed-message' }
    ])
    expect(scene.log.filter(line => line.startsWith('end'))).toEqual([])
    scene.command({ type: 'Dial', id: 1, peerId: BOB, addresses: ['/ip4/10.0.0.1/tcp/1'] })
    expect(scene.told()).toMatchObject([{ type: 'Error', code: 'ERR_NOT_ALLOWED', id: 1 }])
  })

  it('has the capacity, the refill and the costs of the options', async () => {
    const scene = await RuntimeScene.start({
      rateLimit: { capacity: 6, refillPerSecond: 2, costs: { 'failed-handshake': 3 } }
    })
    for (let i = 0; i < 2; i++) scene.nodeInit.guard.failed(HERE, 'silence')
    expect(isBarred(scene, HERE)).toBe(false)
    scene.nodeInit.guard.failed(HERE, 'silence')
    expect(isBarred(scene, HERE)).toBe(true)
    scene.clock.advance(500)
    expect(isBarred(scene, HERE)).toBe(false)
  })
})

describe('a stream for messages', () => {
  it('hands on what arrives, behind Connected, and counts it', async () => {
    const scene = await RuntimeScene.start()
    const link = scene.connect(BOB, 'outbound')
    expect(scene.told()).toEqual([])
    expect(scene.inspect().peers).toEqual([])
    const stream = scene.stream(link)
    const bytes = frame(message(0))
    stream.receive(bytes)
    expect(scene.told()).toMatchObject([
      { type: 'Connected', peerId: BOB, direction: 'outbound' },
      { type: 'Data', peerId: BOB, count: 1 }
    ])
    expect(link.admitted).toBe(true)
    expect(scene.log).toContain('served')
    expect(link.streams).toContain(stream)
    expect(scene.inspect().peers).toMatchObject([
      { peerId: BOB, received: 1, bytesReceived: bytes.length, sent: 0, bytesSent: 0, unacknowledged: 0 }
    ])
  })

  it('has messages refused while the receiver channel is full, which counts as dropped', async () => {
    const scene = await RuntimeScene.start({ allowList: 'allow-all', limits: { receiverMessages: 1 } })
    const stream = scene.stream(scene.connect(BOB))
    stream.receive(frame(message(0)))
    stream.receive(frame(message(1)), frame(message(2)))
    expect(scene.inspect().receiver).toEqual({ messages: 1, bytes: 4, dropped: 2 })
    expect(scene.inspect().peers).toMatchObject([{ received: 1 }])
    expect(scene.debits(BOB)).toEqual([])
  })

  it('has messages that are too large refused, which is told to the muxer', async () => {
    const scene = await RuntimeScene.start({ allowList: 'allow-all', limits: { maxMessageBytes: 100 } })
    const stream = scene.stream(scene.connect(BOB))
    stream.receive(frame(message(0, 101)))
    expect(scene.log).toContain('wasted')
    expect(scene.told().filter(({ type }) => type === 'Data')).toEqual([])
  })

  it('is reset when it is of a peer that is not known, or the node stops', async () => {
    const scene = await RuntimeScene.start()
    const link = scene.connect(BOB)
    const stranger = new FakeLink(CAROL, 'inbound', () => {}) as unknown as Link
    const stream = new TestStream()
    scene.nodeInit.stream(stranger, stream, { served: () => {}, wasted: () => {} })
    expect(stream.status).toBe('aborted')
    void scene.runtime.stop()
    expect(scene.stream(link).status).toBe('aborted')
  })
})

describe('what is incomplete', () => {
  const MIB = 1024 * 1024
  /** The first byte of a message of so many bytes, behind its length. */
  const begun = (bytes: number): Uint8Array => frame(new Uint8Array(bytes)).subarray(0, 5)

  it('takes no more memory of one connection than receiverBytes', async () => {
    const limits = { receiverBytes: 3 * MIB, maxMessageBytes: 2 * MIB }
    const scene = await RuntimeScene.start({ allowList: 'allow-all', limits })
    const link = scene.connect(BOB)
    const streams = Array.from({ length: 3 }, () => scene.stream(link))
    streams[0]!.receive(begun(2 * MIB))
    streams[1]!.receive(begun(MIB))
    expect(streams.map(({ flowing }) => flowing)).toEqual([true, true, true])
    streams[2]!.receive(begun(MIB))
    await settled()
    expect(streams.map(({ flowing }) => flowing)).toEqual([true, true, false])
    // Another connection has room of its own.
    const other = scene.stream(scene.connect(CAROL))
    other.receive(begun(2 * MIB))
    await settled()
    expect(other.flowing).toBe(true)
  })

  it('has room for one message of the largest size whatever receiverBytes says', async () => {
    const limits = { receiverBytes: 1, maxMessageBytes: 2 * MIB }
    const scene = await RuntimeScene.start({ allowList: 'allow-all', limits })
    const stream = scene.stream(scene.connect(BOB))
    stream.receive(begun(2 * MIB))
    await settled()
    expect(stream.flowing).toBe(true)
  })

  it('is waited for while the peer is not heard, and malformed when it is and does not complete it', async () => {
    const scene = await RuntimeScene.start({ allowList: 'allow-all', limits: { messageTimeoutMs: 1_000 } })
    const link = scene.connect(BOB)
    scene.stream(link).receive(frame(message(0)).subarray(0, 2))
    scene.clock.advance(100_000)
    expect(scene.debits(BOB)).toEqual([])
    for (let ms = 0; ms < 5_000; ms += 100) {
      scene.clock.advance(100)
      link.hear(scene.clock.now())
    }
    expect(scene.debits(BOB)).toEqual([expect.stringMatching(/^malformed-message: /)])
  })
})

describe('a command', () => {
  it('to send ends as not-connected when the peer is unknown, all at once', async () => {
    const scene = await RuntimeScene.start()
    scene.send(5, BOB, frame(message(0)), frame(message(1)))
    scene.runtime.drainCommands()
    expect(scene.told()).toEqual([{ type: 'Status', handle: 5, outcome: 'not-connected', count: 2 }])
  })

  it('to send writes to the peer, counts it, and is settled by its acks', async () => {
    const scene = await RuntimeScene.start()
    const link = scene.connect(BOB)
    scene.told()
    const bytes = frame(message(0))
    scene.send(5, BOB, bytes, bytes)
    scene.runtime.drainCommands()
    await settled()
    link.answer(true)
    await settled()
    const snapshot = { sent: 2, bytesSent: 2 * bytes.length, received: 0, bytesReceived: 0 }
    expect(scene.inspect().peers).toMatchObject([{ ...snapshot, unacknowledged: 2 }])
    link.streams[0]!.receive(Uint8Array.of(1, 0, 1, 0))
    await settled()
    expect(scene.told()).toEqual([{ type: 'Status', handle: 5, outcome: undefined, count: 2 }])
    expect(scene.inspect().peers).toMatchObject([{ ...snapshot, unacknowledged: 0 }])
  })

  it('to dial is answered once the peer has admitted this node', async () => {
    const scene = await RuntimeScene.start()
    scene.command({ type: 'Dial', id: 7, peerId: BOB, addresses: ['/ip4/10.0.0.1/tcp/1'] })
    const link = await scene.reach('10.0.0.1', BOB)
    expect(scene.told()).toEqual([])
    link!.answer(true)
    await settled()
    expect(scene.told()).toMatchObject([{ type: 'Connected', peerId: BOB, direction: 'outbound', id: 7 }])
  })

  it('to dial a peer that is connected asks it, and ends one way or the other', async () => {
    const scene = await RuntimeScene.start()
    scene.connect(BOB)
    scene.told()
    scene.clock.advance(5_000)
    scene.command({ type: 'Dial', id: 7, peerId: BOB, addresses: ['/ip4/10.0.0.1/tcp/1'] })
    await settled()
    expect(scene.told()).toMatchObject([{ type: 'AlreadyConnected', peerId: BOB, id: 7 }])
    scene.links[0]!.alive = Promise.resolve(false)
    scene.clock.advance(5_000)
    scene.command({ type: 'Dial', id: 8, peerId: BOB, addresses: ['/ip4/10.0.0.1/tcp/1'] })
    await settled()
    expect(scene.told()).toMatchObject([{ type: 'Disconnected', code: 'silent' }])
    ;(await scene.reach('10.0.0.1', BOB))!.answer(true)
    await settled()
    expect(scene.told()).toMatchObject([{ type: 'Connected', id: 8 }])
  })

  it('to dial fails with the gater’s reason when it has denied the peer there, at nobody’s cost', async () => {
    const scene = await RuntimeScene.start()
    scene.command({ type: 'Dial', id: 7, peerId: BOB, addresses: ['/ip4/10.0.0.1/tcp/1'] })
    await settled()
    scene.sockets.get('10.0.0.1')!.resolve({ ip: '10.0.0.1' })
    await settled()
    const connection = { remoteAddr: multiaddr(`/ip4/10.0.0.1/tcp/1/p2p/${BOB}`) } as MultiaddrConnection
    const { gater, guard } = scene.nodeInit
    expect(gater.denyOutboundEncryptedConnection!(peerIdFromString(CAROL), connection)).toBe(true)
    scene.handshakes.get('10.0.0.1')!.reject(new Error('denied'))
    await settled()
    expect(scene.told()).toMatchObject([{ type: 'Error', code: 'ERR_PEER_MISMATCH', why: 'mismatch', id: 7 }])
    expect(scene.inspect().buckets).toEqual([])
    expect(guard.wasDenied(connection)).toBe(true)
  })

  it('to dial a name has it looked up, with the node’s clock and order', async () => {
    const scene = await RuntimeScene.start()
    scene.command({ type: 'Dial', id: 7, peerId: BOB, addresses: ['/dns4/localhost/tcp/1'] })
    await expect.poll(() => scene.sockets.has('127.0.0.1')).toBe(true)
    ;(await scene.reach('127.0.0.1', BOB))!.answer(true)
    await settled()
    expect(scene.told()).toMatchObject([{ type: 'Connected', id: 7 }])
  })

  it('to dial that has failed leaves nothing of the peer', async () => {
    const scene = await RuntimeScene.start()
    for (let i = 0; i < 3; i++) {
      scene.command({ type: 'Dial', id: i, peerId: BOB, addresses: ['/ip4/10.0.0.1/tcp/1'] })
      scene.send(5, BOB, frame(message(0)))
      scene.runtime.drainCommands()
      await scene.reach('10.0.0.1', BOB, new Error('not multistream-select'))
      expect(scene.told()).toMatchObject([
        { type: 'Error', code: 'ERR_DIAL_FAILED', id: i },
        { type: 'Status', outcome: 'not-connected', count: 1 }
      ])
    }
    // Its number on the receiver channel is the next peer's.
    scene.connect(CAROL)
    scene.told()
    scene.stream(scene.links[0]!).receive(frame(message(0)))
    expect(scene.told()).toMatchObject([{ type: 'Data', peerId: CAROL }])
    expect(scene.lastHandle).toBe(0)
  })

  it('to dial ends when the application disconnects from the peer, or the list no longer names it', async () => {
    const scene = await RuntimeScene.start({ allowList: [{ peerId: BOB }] })
    const dial = (id: number): void =>
      scene.command({ type: 'Dial', id, peerId: BOB, addresses: ['/ip4/10.0.0.1/tcp/1'] })
    dial(1)
    scene.command({ type: 'DisconnectFrom', id: 2, peerId: BOB })
    expect(scene.told()).toMatchObject([{ type: 'Error', why: 'denied', id: 1 }])
    dial(3)
    scene.request({ method: 'allow-list.remove', peerId: BOB })
    expect(scene.told()).toMatchObject([{ type: 'Error', why: 'denied', id: 3 }])
  })

  it('to dial fails when maxConnections is reached, by connections or by dials under way', async () => {
    const scene = await RuntimeScene.start({ allowList: 'allow-all', limits: { maxConnections: 2 } })
    scene.connect(ALICE)
    scene.command({ type: 'Dial', id: 1, peerId: BOB, addresses: ['/ip4/10.0.0.1/tcp/1'] })
    scene.command({ type: 'Dial', id: 2, peerId: CAROL, addresses: ['/ip4/10.0.0.2/tcp/1'] })
    expect(scene.told().slice(1)).toMatchObject([
      { type: 'Error', code: 'ERR_DIAL_FAILED', why: 'denied', peerId: CAROL, id: 2, ip: '10.0.0.2' }
    ])
  })

  it('to disconnect from a peer ends its connections, and no others', async () => {
    const scene = await RuntimeScene.start()
    scene.connect(BOB)
    scene.connect(CAROL)
    scene.told()
    scene.command({ type: 'DisconnectFrom', id: 1, peerId: BOB })
    expect(scene.told()).toMatchObject([{ type: 'Disconnected', peerId: BOB, code: 'parted' }])
    expect(scene.links.map(({ peerId }) => peerId)).toEqual([CAROL])
    expect(scene.log).toEqual([])
  })
})

describe('a question', () => {
  it('is answered while the application hands over more than a turn takes, which goes on after it', async () => {
    const scene = await RuntimeScene.start()
    const messages = 40_000
    const bytes = frame(message(0))
    scene.send(5, BOB, ...Array.from({ length: messages }, () => bytes))
    const count = (): number =>
      scene.told().reduce((sum, event) => sum + (event.type === 'Status' ? event.count : 0), 0)
    for (let i = 0; i < 10; i++) expect(scene.inspect()).toMatchObject({ peers: [] })
    expect(scene.request({ method: 'allow-list.entries' })).toEqual([])
    // However many questions: one share a turn, so that sockets get their turns.
    const first = count()
    // 16,384 records, one of which names the peer.
    expect(first).toBe(16_383)
    let all = first
    while (all < messages) {
      await new Promise(resolve => setImmediate(resolve))
      all += count()
    }
    expect(all).toBe(messages)
  })

  it('takes 4 MiB of messages in one turn, and one record behind them', async () => {
    const scene = await RuntimeScene.start()
    const big = frame(message(0, 1024 * 1024))
    // In turns: neighbours for one peer would be taken together.
    for (let i = 0; i < 10; i++) scene.send(i % 2, i % 2 === 0 ? BOB : CAROL, big)
    scene.inspect()
    const count = (): number => scene.told().filter(({ type }) => type === 'Status').length
    expect(count()).toBe(4)
    await expect.poll(count).toBeGreaterThan(0)
  })

  it('that changes something is done behind everything that was handed over before', async () => {
    const scene = await RuntimeScene.start({ allowList: [{ peerId: BOB }] })
    scene.send(5, BOB, ...Array.from({ length: 40_000 }, () => frame(message(0))))
    expect(scene.request({ method: 'allow-list.remove', peerId: BOB })).toBe(true)
    const told = scene.told()
    expect(told.reduce((sum, event) => sum + (event.type === 'Status' ? event.count : 0), 0)).toBe(40_000)
  })

  it('about the allow list is answered, and what the list no longer allows ends', async () => {
    const scene = await RuntimeScene.start({ allowList: [{ peerId: BOB }, { peerId: CAROL }] })
    const ends = (): unknown[] =>
      scene.told().flatMap(event => (event.type === 'Disconnected' ? [[event.peerId, event.code]] : []))
    const connect = (): void => {
      scene.connect(BOB)
      scene.connect(CAROL)
      scene.told()
    }
    connect()
    expect(scene.request({ method: 'allow-list.remove', peerId: ALICE })).toBe(false)
    expect(ends()).toEqual([])
    expect(scene.request({ method: 'allow-list.remove', peerId: BOB })).toBe(true)
    expect(ends()).toEqual([[BOB, 'removed']])
    expect(scene.request({ method: 'allow-list.entries' })).toEqual([{ peerId: CAROL }])
    expect(scene.request({ method: 'allow-list.replace', list: [{ peerId: BOB }] })).toBeUndefined()
    expect(ends()).toEqual([[CAROL, 'removed']])
    scene.request({ method: 'allow-list.allow-all', on: true })
    connect()
    scene.request({ method: 'allow-list.add', entry: { peerId: BOB, ips: ['10.0.0.1'] } })
    expect(ends()).toEqual([])
    scene.request({ method: 'allow-list.allow-all', on: false })
    expect(ends()).toEqual([
      [BOB, 'removed'],
      [CAROL, 'removed']
    ])
    scene.request({ method: 'allow-list.add', entry: { peerId: CAROL } })
    scene.connect(CAROL)
    scene.told()
    scene.request({ method: 'allow-list.add', entry: { peerId: CAROL, ips: ['10.0.0.1'] } })
    expect(ends()).toEqual([[CAROL, 'removed']])
  })
})

describe('the end', () => {
  it('tells everybody gone, ends dials, stops the node, and is over when that has stopped', async () => {
    const scene = await RuntimeScene.start()
    scene.connect(BOB)
    scene.command({ type: 'Dial', id: 1, peerId: CAROL, addresses: ['/ip4/10.0.0.1/tcp/1'] })
    scene.send(5, CAROL, frame(message(0)))
    scene.runtime.drainCommands()
    scene.told()
    scene.command({ type: 'DisconnectFrom', id: 2 })
    const told = scene.told()
    expect(told).toMatchObject([
      { type: 'Disconnected', peerId: BOB, code: 'stopped', reason: 'this node was stopped' },
      { type: 'Error', code: 'ERR_DIAL_FAILED', why: 'denied', peerId: CAROL, id: 1 }
    ])
    expect(told[1]).toMatchObject({ message: expect.stringContaining('the node is stopping') as string })
    expect(scene.log).toEqual(['stop'])
    expect(scene.stopped).toBe(0)
    // What comes now is not taken any more.
    scene.command({ type: 'Dial', id: 3, peerId: ALICE, addresses: ['/ip4/10.0.0.3/tcp/1'] })
    scene.send(6, ALICE, frame(message(0)))
    scene.command({ type: 'DisconnectFrom', id: 4 })
    await scene.runtime.stop()
    await settled()
    expect(scene.told()).toEqual([])
    expect(scene.sockets.has('10.0.0.3')).toBe(false)
    expect(scene.log).toEqual(['stop'])
    expect(scene.stopped).toBe(0)
    scene.nodeStopped.resolve()
    await settled()
    expect(scene.stopped).toBe(1)
  })

  it('comes also when the node does not stop in order', async () => {
    const scene = await RuntimeScene.start()
    const end = scene.runtime.stop()
    scene.nodeStopped.reject(new Error('a listener does not close'))
    await expect(end).rejects.toThrow('does not close')
    expect(scene.stopped).toBe(1)
  })

  it('waits, when asked to, until every dial and every message has its outcome, and looks every 10 ms', async () => {
    const scene = await RuntimeScene.start()
    const link = scene.connect(BOB)
    scene.send(5, BOB, frame(message(0)))
    scene.command({ type: 'Dial', id: 1, peerId: CAROL, addresses: ['/ip4/10.0.0.1/tcp/1'] })
    scene.command({ type: 'DisconnectFrom', id: 2, drainMs: 1_000 })
    await settled()
    link.answer(true)
    await settled()
    scene.clock.advance(100)
    scene.sockets.get('10.0.0.1')!.reject(Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }))
    await settled()
    scene.clock.advance(100)
    expect(scene.log).toEqual([])
    link.streams[0]!.receive(Uint8Array.of(1, 0))
    await settled()
    expect(scene.log).toEqual([])
    scene.clock.advance(9)
    expect(scene.log).toEqual([])
    scene.clock.advance(1)
    expect(scene.log).toEqual(['stop'])
    expect(scene.told().filter(({ type }) => type === 'Status')).toEqual([
      { type: 'Status', handle: 5, outcome: undefined, count: 1 }
    ])
  })

  it('waits for a dial alone, too', async () => {
    const scene = await RuntimeScene.start()
    scene.command({ type: 'Dial', id: 1, peerId: CAROL, addresses: ['/ip4/10.0.0.1/tcp/1'] })
    scene.command({ type: 'DisconnectFrom', id: 2, drainMs: 1_000 })
    scene.clock.advance(500)
    expect(scene.log).toEqual([])
  })

  it.each([[995], [1_000]])('comes after %i ms although a message has no outcome', async drainMs => {
    const scene = await RuntimeScene.start()
    scene.connect(BOB)
    scene.send(5, BOB, frame(message(0)))
    scene.command({ type: 'DisconnectFrom', id: 2, drainMs })
    scene.clock.advance(drainMs - 1)
    expect(scene.log).toEqual([])
    scene.clock.advance(1)
    expect(scene.log).toEqual(['stop'])
  })

  it('is at once when there is nothing to wait for, or no time', async () => {
    const idle = await RuntimeScene.start()
    idle.command({ type: 'DisconnectFrom', id: 1, drainMs: 1_000 })
    expect(idle.log).toEqual(['stop'])
    const busy = await RuntimeScene.start()
    busy.connect(BOB)
    busy.send(5, BOB, frame(message(0)))
    busy.command({ type: 'DisconnectFrom', id: 1, drainMs: 0 })
    expect(busy.log).toEqual(['stop'])
  })
})
