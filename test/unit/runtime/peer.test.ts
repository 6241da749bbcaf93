import type { Connection } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { peerIdFromString } from '@libp2p/peer-id'
import { describe, expect, it } from 'vitest'
import { PROTOCOL_ID } from '../../../src/framing/index.ts'
import { Link } from '../../../src/libp2p/link.ts'
import type { Outcome } from '../../../src/protocol/index.ts'
import { Peer } from '../../../src/runtime/peer.ts'
import { ALICE, BOB } from '../allow-list/names.ts'
import { FakeClock, frame, message, TestStream, turn } from '../protocol/support.ts'

/** A connection whose streams are the test's. */
class TestConnection extends EventTarget {
  readonly remotePeer = peerIdFromString(BOB)
  readonly remoteAddr = multiaddr(`/ip4/127.0.0.1/tcp/4001/p2p/${BOB}`)
  readonly timeline = { open: 0 }
  readonly maConn: { onData: (data: Uint8Array) => void } = { onData: () => {} }
  readonly muxer = {
    nextPingID: 0,
    rtt: -1,
    sendPing: (): void => void this.pings++,
    handlePingResponse: (): void => {}
  }
  readonly direction: 'inbound' | 'outbound'
  readonly streams: TestStream[] = []
  status = 'open'
  /** Questions whether the peer is there; the first asks for the round trip. */
  pings = 0

  constructor(direction: 'inbound' | 'outbound') {
    super()
    this.direction = direction
  }

  /** A stream of either side, on which this protocol is agreed, or none yet. */
  stream(protocol: string): TestStream {
    const stream = new TestStream()
    stream.protocol = protocol
    this.streams.push(stream)
    stream.addEventListener('close', () => this.streams.splice(this.streams.indexOf(stream), 1))
    return stream
  }

  newStream = async (protocol: string, _: { signal: AbortSignal }): Promise<TestStream> =>
    this.stream(protocol)

  /** Bytes of the peer arrive. */
  hear(): void {
    this.maConn.onData(Uint8Array.of(0))
  }

  abort = (error: Error): void => {
    this.status = 'aborted'
    for (const stream of [...this.streams]) stream.abort(error)
    this.dispatchEvent(Object.assign(new Event('close'), { error, local: true }))
  }

  close = async (): Promise<void> => {
    this.status = 'closed'
  }
}

/** A peer, and what has been told of it. */
class Scene {
  readonly clock = new FakeClock()
  readonly evidence: string[] = []
  readonly outcomes: Outcome[] = []
  readonly peer: Peer

  /** `self`: own peer ID. */
  constructor(self = ALICE) {
    this.peer = new Peer({
      peerId: BOB,
      self,
      receiverHandle: 0,
      clock: this.clock,
      outbox: {
        ackTimeoutMs: 10_000,
        msPerByte: 0,
        maxDelayMs: 0,
        windowMessages: 100,
        windowBytes: 1_000,
        writeTimeoutMs: 30_000
      },
      openTimeoutMs: 5_000,
      settled: (_, outcome, count) => this.outcomes.push(...Array.from({ length: count }, () => outcome)),
      unanswered: (_, evidence) => this.evidence.push(evidence),
      malformed: (_, reason) => this.evidence.push(reason)
    })
  }

  connect(direction: 'inbound' | 'outbound'): { connection: TestConnection; link: Link } {
    const connection = new TestConnection(direction)
    const link = new Link(connection as unknown as Connection, this.clock, ended => {
      this.peer.links.splice(this.peer.links.indexOf(ended), 1)
      this.peer.failIfUnreachable()
    })
    this.peer.links.push(link)
    this.peer.admit(link)
    return { connection, link }
  }

  async send(): Promise<void> {
    this.peer.outbox.send(frame(message(0)))
    await turn()
  }
}

describe('a peer that ends its acks in an orderly way before it has answered', () => {
  it('is told of when the time to answer is over', async () => {
    const scene = new Scene()
    const { connection } = scene.connect('outbound')
    await scene.send()
    connection.streams[0]!.receiveEnd()
    await turn()
    scene.clock.advance(10_000)
    connection.hear()
    scene.clock.advance(9_999)
    expect(scene.evidence).toEqual([])
    scene.clock.advance(1)
    expect(scene.evidence).toEqual([expect.stringMatching(/acks of a stream ended/)])
  })

  it('is not while it is not heard: it may have been stopped in the middle of the end', async () => {
    const scene = new Scene()
    const { connection } = scene.connect('outbound')
    await scene.send()
    connection.streams[0]!.receiveEnd()
    await turn()
    scene.clock.advance(1_000_000)
    connection.hear()
    scene.clock.advance(5_000)
    await connection.close()
    scene.clock.advance(1_000_000)
    expect(scene.evidence).toEqual([])
  })

  it('is not, when that was the beginning of the end of its connection', async () => {
    const scene = new Scene()
    const { connection } = scene.connect('outbound')
    await scene.send()
    connection.streams[0]!.receiveEnd()
    await turn()
    await connection.close()
    scene.clock.advance(20_000)
    expect(scene.evidence).toEqual([])
  })
})

describe('a superfluous connection that this side has dialled', () => {
  /** It is kept when the smaller peer ID has dialled it: here that is the peer. */
  function withTwo(): Scene & { extra: TestConnection; extraLink: Link } {
    const scene = new Scene('z')
    const { connection: extra, link: extraLink } = scene.connect('outbound')
    scene.connect('inbound')
    return Object.assign(scene, { extra, extraLink })
  }

  it('is closed after a second without a message stream', () => {
    const { clock, extra } = withTwo()
    clock.advance(999)
    expect(extra.status).toBe('open')
    clock.advance(1)
    expect(extra.status).toBe('closed')
  })

  it('is kept for a second after the last use, also when it is not used at the moment it would be closed', () => {
    const { clock, extra, extraLink } = withTwo()
    for (let used = 0; used < 5; used++) {
      clock.advance(500)
      const stream = extra.stream(PROTOCOL_ID)
      extraLink.use(stream)
      clock.advance(100)
      stream.receiveReset()
      clock.advance(400)
      expect(extra.status).toBe('open')
    }
    clock.advance(2_000)
    expect(extra.status).toBe('closed')
  })

  it.each([
    ['a message stream', PROTOCOL_ID],
    ['a stream of the peer on which the protocol is still being agreed on', '']
  ])('is kept while it has %s', (_, protocol) => {
    const { clock, extra } = withTwo()
    const stream = extra.stream(protocol)
    clock.advance(10_000)
    expect(extra.status).toBe('open')
    stream.receiveReset()
    clock.advance(2_000)
    expect(extra.status).toBe('closed')
  })

  it('is not kept by pings', () => {
    const { clock, extra } = withTwo()
    extra.stream('/ipfs/ping/1.0.0')
    clock.advance(1_000)
    expect(extra.status).toBe('closed')
  })
})

/** Smaller than any peer ID: the connection that it dials is preferred. */
const SMALL = '1'

describe('a peer with two connections', () => {
  /** The peer is on the first, which is preferred, and has made the second. */
  function withTwo(): Scene & { first: ReturnType<Scene['connect']>; second: ReturnType<Scene['connect']> } {
    const scene = new Scene(SMALL)
    const first = scene.connect('outbound')
    scene.clock.advance(100)
    return Object.assign(scene, { first, second: scene.connect('inbound') })
  }

  it('is written to on the preferred one, also while it is asked for a sign of life there', () => {
    const { clock, peer, first, second } = withTwo()
    expect(peer.preferred).toBe(first.link)
    clock.advance(10)
    first.connection.hear()
    first.link.ask()
    expect(first.link.unanswered).toBe(true)
    expect(peer.preferred).toBe(first.link)
    clock.advance(10)
    first.connection.hear()
    second.connection.hear()
    expect(peer.preferred).toBe(first.link)
  })

  it('is written to on the other while it does not answer on it and was heard later on the other', async () => {
    const scene = withTwo()
    const { peer, first, second } = scene
    first.link.ask()
    expect(peer.preferred).toBe(second.link)
    await scene.send()
    expect(first.connection.streams).toHaveLength(0)
    expect(second.connection.streams).toHaveLength(1)
    first.connection.hear()
    expect(peer.preferred).toBe(first.link)
  })

  it('is sent nothing more on one on which it does not answer, and what is in flight there is waited for', async () => {
    const scene = new Scene(SMALL)
    const first = scene.connect('outbound')
    await scene.send()
    scene.clock.advance(100)
    const second = scene.connect('inbound')
    first.link.ask()
    scene.peer.reroute()
    await scene.send()
    const stream = first.connection.streams[0]!
    expect(stream.leftBytes).toEqual(frame(message(0)))
    expect(second.connection.streams).toHaveLength(0)
    first.connection.hear()
    expect(stream.leftBytes.length).toBe(2 * frame(message(0)).length)
  })

  it('is sent the rest on the other when that ends', async () => {
    const scene = new Scene(SMALL)
    const first = scene.connect('outbound')
    await scene.send()
    scene.clock.advance(100)
    const second = scene.connect('inbound')
    first.link.ask()
    scene.peer.reroute()
    await scene.send()
    first.link.abort({ code: 'replaced', reason: 'not heard' })
    await turn()
    expect(scene.outcomes).toEqual(['connection-lost'])
    expect(second.connection.streams[0]!.leftBytes).toEqual(frame(message(0)))
  })

  it('is not waited for on the one on which it does not answer a message stream', async () => {
    const scene = new Scene(SMALL)
    const first = scene.connect('outbound')
    let given: AbortSignal | undefined
    first.connection.newStream = async (_, { signal }) => {
      given = signal
      return new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error))
      })
    }
    await scene.send()
    expect(given?.aborted).toBe(false)
    scene.clock.advance(100)
    const second = scene.connect('inbound')
    await turn()
    expect(given?.aborted).toBe(true)
    expect(second.connection.streams).toHaveLength(1)
    expect(scene.outcomes).toEqual([])
  })
})

describe('whether a peer is there', () => {
  it('is known without asking when it was heard within the last second', async () => {
    const scene = new Scene()
    const { connection, link } = scene.connect('outbound')
    const { pings } = connection
    scene.clock.advance(999)
    expect(await scene.peer.confirmAlive(5_000)).toBe(true)
    expect(connection.pings).toBe(pings)
    link.ask()
    const asked = scene.peer.confirmAlive(5_000)
    connection.hear()
    expect(await asked).toBe(true)
  })

  it('is asked of a peer that has been quiet, and denied when it stays silent', async () => {
    const scene = new Scene()
    const { connection } = scene.connect('outbound')
    scene.clock.advance(1_000)
    const answered = scene.peer.confirmAlive(5_000)
    scene.clock.advance(4_999)
    connection.hear()
    expect(await answered).toBe(true)
    scene.clock.advance(1_000)
    const silent = scene.peer.confirmAlive(5_000)
    scene.clock.advance(5_000)
    expect(await silent).toBe(false)
  })

  it('is denied without a connection', async () => {
    expect(await new Scene().peer.confirmAlive(5_000)).toBe(false)
  })
})

it('a peer that has agreed to a message stream is not asked for a sign of life any more', async () => {
  const scene = new Scene()
  const { connection } = scene.connect('inbound')
  await scene.send()
  connection.streams[0]!.receive(Uint8Array.of(1, 0))
  await turn()
  connection.hear()
  const { pings } = connection
  scene.clock.advance(4_000)
  expect(connection.pings).toBe(pings)
})

describe('a message stream that the peer does not agree to', () => {
  /** A connection that never answers the opening of a stream. */
  async function withoutAnswer(): Promise<Scene & ReturnType<Scene['connect']>> {
    const scene = new Scene()
    const { connection, link } = scene.connect('inbound')
    connection.newStream = async (_, { signal }) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error))
      })
    await scene.send()
    return Object.assign(scene, { connection, link })
  }

  it('is waited for while the peer is not heard, which is asked for a sign of life', async () => {
    const { clock, connection, link, outcomes } = await withoutAnswer()
    expect(connection.pings).toBeGreaterThan(1)
    clock.advance(1_000_000)
    await turn()
    expect(outcomes).toEqual([])
    link.abort({ code: 'silent', reason: 'not heard' })
    await turn()
    expect(outcomes).toEqual(['not-connected'])
  })

  it('ends the connection of a peer that is heard all the time', async () => {
    const { clock, connection, link, outcomes, evidence } = await withoutAnswer()
    for (let ms = 0; ms < 5_000; ms += 500) {
      expect(link.open).toBe(true)
      clock.advance(499)
      connection.hear()
      clock.advance(1)
      await turn()
    }
    clock.advance(500)
    await turn()
    expect(link.end).toMatchObject({ code: 'protocol' })
    expect(outcomes).toEqual(['not-connected'])
    expect(evidence).toEqual([])
  })

  it('is waited for anew when the peer was stopped for a part of the time', async () => {
    const { clock, connection, link } = await withoutAnswer()
    clock.advance(4_900)
    connection.hear()
    clock.advance(100)
    await turn()
    expect(link.open).toBe(true)
    clock.advance(1_000)
    connection.hear()
    clock.advance(1_500)
    await turn()
    clock.advance(500)
    await turn()
    expect(link.open).toBe(false)
  })

  it('ends the connection when the peer refuses it and the connection lives on', async () => {
    const scene = new Scene()
    const { connection, link } = scene.connect('inbound')
    connection.newStream = async () => Promise.reject(new Error('protocol selection failed'))
    await scene.send()
    expect(link.open).toBe(true)
    scene.clock.advance(500)
    await turn()
    expect(link.end).toMatchObject({ code: 'protocol' })
    expect(scene.outcomes).toEqual(['not-connected'])
  })
})

describe('the connection that is kept', () => {
  it.each([
    ['z', 'outbound', 'inbound'],
    [SMALL, 'inbound', 'outbound']
  ] as const)(
    'is the one that the smaller peer ID dialled, whichever came first (own ID: %s)',
    (self, other, kept) => {
      for (const order of [
        [other, kept],
        [kept, other]
      ]) {
        const scene = new Scene(self)
        for (const direction of order) scene.connect(direction)
        expect(scene.peer.preferred?.direction).toBe(kept)
      }
    }
  )

  it('is the newest of those that are usable', () => {
    const scene = new Scene(SMALL)
    const { peer } = scene
    scene.connect('outbound')
    const second = scene.connect('outbound')
    const third = scene.connect('outbound')
    third.link.admitted = false
    expect(peer.preferred).toBe(second.link)
    third.link.admitted = true
    expect(peer.preferred).toBe(third.link)
    void third.link.close({ code: 'parted', reason: '' })
    expect(peer.preferred).toBe(second.link)
  })

  it('is not left for one that was heard later and does not answer either', () => {
    const scene = new Scene(SMALL)
    const first = scene.connect('outbound')
    scene.clock.advance(100)
    const second = scene.connect('inbound')
    first.link.ask()
    expect(scene.peer.preferred).toBe(second.link)
    second.link.ask()
    expect(scene.peer.preferred).toBe(first.link)
    second.connection.hear()
    expect(scene.peer.preferred).toBe(second.link)
    second.link.admitted = false
    expect(scene.peer.preferred).toBe(first.link)
  })

  it('is where messages go as soon as nothing is in flight on the other', async () => {
    const scene = new Scene('z')
    const { connection: other } = scene.connect('outbound')
    await scene.send()
    const { connection: kept } = scene.connect('inbound')
    const [stream] = other.streams
    await scene.send()
    expect(stream!.leftBytes.length).toBe(2 * frame(message(0)).length)
    expect(stream!.wasEnded).toBe(false)
    stream!.receive(Uint8Array.of(1, 0, 1, 0))
    await turn()
    expect(scene.outcomes).toEqual([undefined, undefined])
    expect(stream!.wasEnded).toBe(true)
    await scene.send()
    expect(kept.streams[0]!.leftBytes).toEqual(frame(message(0)))
  })

  it('keeps its stream when the other comes and goes', async () => {
    const scene = new Scene('z')
    const { connection: kept } = scene.connect('inbound')
    await scene.send()
    kept.streams[0]!.receive(Uint8Array.of(1, 0))
    await turn()
    const { link } = scene.connect('outbound')
    link.abort({ code: 'lost', reason: 'reset' })
    await turn()
    expect(kept.streams[0]!.wasEnded).toBe(false)
    await scene.send()
    expect(kept.streams).toHaveLength(1)
  })
})

describe('a superfluous connection', () => {
  it('that the peer has dialled is left for the peer to close', () => {
    const scene = new Scene(SMALL)
    scene.connect('outbound')
    const { connection } = scene.connect('inbound')
    scene.clock.advance(10_000)
    expect(connection.status).toBe('open')
  })

  it('is looked at once a second, however often connections come to light', () => {
    const scene = new Scene('z')
    scene.connect('outbound')
    scene.connect('inbound')
    const { armed } = scene.clock
    for (let i = 0; i < 10; i++) scene.peer.reroute()
    expect(scene.clock.armed).toBe(armed)
  })

  it('is kept when it is the only one left by then', () => {
    const scene = new Scene('z')
    const { connection } = scene.connect('outbound')
    const { link } = scene.connect('inbound')
    link.abort({ code: 'lost', reason: 'reset' })
    scene.clock.advance(10_000)
    expect(connection.status).toBe('open')
    // And closed when it has become superfluous anew.
    scene.connect('inbound')
    scene.clock.advance(1_000)
    expect(connection.status).toBe('closed')
  })

  it('says why it is closed', () => {
    const scene = new Scene('z')
    const { link } = scene.connect('outbound')
    scene.connect('inbound')
    scene.clock.advance(1_000)
    expect(link.end).toEqual({
      code: 'replaced',
      reason: 'superseded by another connection to the same peer'
    })
  })
})

describe('a message to a peer without a connection', () => {
  it('waits for a dial, and takes the connection that it makes', async () => {
    const scene = new Scene()
    scene.peer.dials = 1
    await scene.send()
    scene.peer.failIfUnreachable()
    await turn()
    expect(scene.outcomes).toEqual([])
    const { connection } = scene.connect('outbound')
    await turn()
    expect(connection.streams[0]!.leftBytes).toEqual(frame(message(0)))
  })

  it('ends when the last dial has failed', async () => {
    const scene = new Scene()
    scene.peer.dials = 2
    await scene.send()
    scene.peer.dials = 1
    scene.peer.failIfUnreachable()
    await turn()
    expect(scene.outcomes).toEqual([])
    scene.peer.dials = 0
    scene.peer.failIfUnreachable()
    await turn()
    expect(scene.outcomes).toEqual(['not-connected'])
    expect(scene.peer.idle).toBe(true)
  })

  it('ends at once without a dial', async () => {
    const scene = new Scene()
    await scene.send()
    expect(scene.outcomes).toEqual(['not-connected'])
  })
})

describe('a stream that is refused', () => {
  it('ends no connection that has been superseded meanwhile', async () => {
    const scene = new Scene('z')
    const { connection, link } = scene.connect('outbound')
    connection.newStream = async () => Promise.reject(new Error('protocol selection failed'))
    await scene.send()
    const { connection: kept } = scene.connect('inbound')
    scene.clock.advance(500)
    await turn()
    expect(link.open).toBe(true)
    expect(kept.streams[0]!.leftBytes).toEqual(frame(message(0)))
  })

  it('is waited for half a second, in which the connection may come to an orderly end', async () => {
    const scene = new Scene()
    const { connection, link } = scene.connect('inbound')
    connection.newStream = async () => Promise.reject(new Error('the stream was reset'))
    await scene.send()
    scene.clock.advance(499)
    await turn()
    expect(link.open).toBe(true)
    scene.clock.advance(1)
    await turn()
    expect(link.end).toEqual({
      code: 'protocol',
      reason: 'the peer does not take messages: the stream was reset'
    })
  })

  it('is one that is ended or reset at once', async () => {
    for (const end of ['receiveEnd', 'receiveReset'] as const) {
      const scene = new Scene()
      const { connection, link } = scene.connect('inbound')
      const open = connection.newStream
      connection.newStream = async (protocol, init) => {
        const stream = await open(protocol, init)
        stream[end]()
        return stream
      }
      await scene.send()
      scene.clock.advance(500)
      await turn()
      expect(link.open).toBe(false)
      expect(scene.outcomes).toEqual(['not-connected'])
    }
  })
})
