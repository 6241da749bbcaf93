import '../../../src/libp2p/polyfill.ts'
import type { Listener, MultiaddrConnection, Transport, Upgrader } from '@libp2p/interface'
import { multiaddrConnectionPair } from '@libp2p/utils'
import { multiaddr } from '@multiformats/multiaddr'
import { expect, test } from 'vitest'
import { HandshakeGuard } from '../../../src/libp2p/handshakes.ts'
import { FakeClock, turn } from '../protocol/support.ts'

/** A guard in front of handshakes that go on until their connection ends. */
class Scene {
  readonly clock = new FakeClock()
  readonly failed: string[] = []
  readonly refused: string[] = []
  readonly #upgrader: Upgrader

  constructor() {
    const guard = new HandshakeGuard(
      {
        isBarred: () => false,
        hasRoom: () => true,
        wasDenied: () => false,
        failed: ip => this.failed.push(ip),
        refused: ip => this.refused.push(ip)
      },
      this.clock
    )
    let upgrader: Upgrader | undefined
    guard
      .guardTransport({
        createListener: options => {
          upgrader = options.upgrader
          return {} as Listener
        },
        dial: async () => Promise.reject(new Error('not here'))
      } as Partial<Transport> as Transport)
      .createListener({ upgrader: { upgradeInbound: untilItEnds } as Partial<Upgrader> as Upgrader })
    this.#upgrader = upgrader!
  }

  /** Somebody connects and says nothing. */
  connect(ip: string): MultiaddrConnection {
    const [connection] = multiaddrConnectionPair({
      outbound: { remoteAddr: multiaddr(`/ip4/${ip}/tcp/4001`) }
    })
    this.#upgrader.upgradeInbound(connection, { signal: new AbortController().signal }).catch(() => {})
    return connection
  }

  /** All places are taken, by four addresses of one network. */
  crowd(): MultiaddrConnection[] {
    return Array.from({ length: 256 }, (_, i) => this.connect(`10.0.0.${i >> 6}`))
  }
}

async function untilItEnds(connection: MultiaddrConnection): Promise<void> {
  await new Promise((_, reject) => {
    connection.addEventListener('close', ({ error }) => reject(error ?? new Error('closed')))
  })
}

test('a handshake that is given up at once for lack of room costs its address nothing', async () => {
  const scene = new Scene()
  const [oldest, second] = scene.crowd()
  scene.clock.advance(999)
  const newcomer = scene.connect('10.9.9.9')
  await turn()
  expect([oldest, second, newcomer].map(connection => connection!.status)).toEqual([
    'aborted',
    'open',
    'open'
  ])
  expect(scene).toMatchObject({ failed: [], refused: ['10.0.0.0'] })
})

test('one that has stood still for a second by then has failed', async () => {
  const scene = new Scene()
  const [oldest] = scene.crowd()
  scene.clock.advance(1_000)
  scene.connect('10.9.9.9')
  await turn()
  expect(oldest!.status).toBe('aborted')
  expect(scene).toMatchObject({ failed: ['10.0.0.0'], refused: [] })
})

test('the 65th from one address is turned away, and costs nothing', async () => {
  const scene = new Scene()
  for (let i = 0; i < 65; i++) scene.connect('10.0.0.1')
  await turn()
  expect(scene).toMatchObject({ failed: [], refused: ['10.0.0.1'] })
})
