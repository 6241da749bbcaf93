/**
 * What the guards of src/libp2p stand in front of is not libp2p's documented interface. When one of these fails after an
 * upgrade, read the guard that is named before anything else; whether it still guards is what the adversarial tests say.
 */
import '../../../src/libp2p/polyfill.ts'
import { readFileSync } from 'node:fs'
import type { Server, Socket } from 'node:net'
import { yamux } from '@chainsafe/libp2p-yamux'
import type { Logger } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { multiaddrConnectionPair } from '@libp2p/utils'
import { multiaddr } from '@multiformats/multiaddr'
import { Uint8ArrayList } from 'uint8arraylist'
import { describe, expect, it } from 'vitest'

const ROOT = new URL('../../../', import.meta.url)

interface Package {
  version: string
  dependencies: Record<string, string>
}

function packageAt(path: string): Package {
  return JSON.parse(readFileSync(new URL(`${path}package.json`, ROOT), 'utf8')) as Package
}

const silent: Logger = Object.assign(() => {}, {
  enabled: false,
  error: () => {},
  trace: () => {},
  newScope: () => silent
})

describe('upstream is as it was read', () => {
  it('in the versions that are named, each exactly', () => {
    for (const [name, version] of Object.entries(packageAt('').dependencies)) {
      expect(version, name).toMatch(/^\d+\.\d+\.\d+$/)
      expect(packageAt(`node_modules/${name}/`).version, name).toBe(version)
    }
  })

  it('in the versions that those bring along', () => {
    expect(packageAt('node_modules/@libp2p/utils/').version).toBe('7.4.1')
    expect(packageAt('node_modules/@libp2p/multistream-select/').version).toBe('7.0.28')
  })

  it('the muxer has the methods that the muxer guard replaces, and calls them', () => {
    const [ours, theirs] = multiaddrConnectionPair()
    const muxer = yamux()().createStreamMuxer(ours) as unknown as Record<string, unknown>
    expect(muxer['streams']).toEqual([])
    for (const name of [
      'onData',
      'onRemoteStream',
      'onCreateStream',
      'handleFrame',
      'handleStreamMessage',
      'sendFrame',
      'sendPing',
      'handlePingResponse'
    ]) {
      expect(muxer[name], name).toBeTypeOf('function')
    }
    expect(muxer).toMatchObject({ nextPingID: expect.any(Number) as number, rtt: -1 })
    theirs.abort(new Error('over'))
    ours.abort(new Error('over'))
  })

  it('a connection hands its bytes to onData, and keeps what came early in readBuffer', () => {
    const [ours, theirs] = multiaddrConnectionPair()
    expect(ours).toHaveProperty('onData')
    expect((ours as unknown as { readBuffer: unknown }).readBuffer).toBeInstanceOf(Uint8ArrayList)
    expect(ours).toHaveProperty('readStatus', 'readable')
    theirs.abort(new Error('over'))
    ours.abort(new Error('over'))
  })

  it('a muxed stream has the parts that are tuned', async () => {
    const [ours, theirs] = multiaddrConnectionPair()
    const stream = await yamux()().createStreamMuxer(ours).createStream()
    for (const name of ['streamId', 'maxMessageSize', 'state', 'recvWindow', 'recvWindowCapacity']) {
      expect((stream as unknown as Record<string, unknown>)[name], name).toBeTypeOf('number')
    }
    for (const name of ['sendWindowUpdate', 'handleData', 'handleWindowUpdate']) {
      expect((stream as unknown as Record<string, unknown>)[name], name).toBeTypeOf('function')
    }
    theirs.abort(new Error('over'))
    ours.abort(new Error('over'))
  })

  it('a connection over TCP has no timer of its own when its time is 0', async () => {
    const transport = tcp({ inboundSocketInactivityTimeout: 0, outboundSocketInactivityTimeout: 0 })({
      logger: { forComponent: () => silent }
    })
    const sockets: Socket[] = []
    const upgrader = {
      createInboundAbortSignal: () => new AbortController().signal,
      upgradeInbound: async (connection: { socket: Socket }) => void sockets.push(connection.socket),
      upgradeOutbound: async (connection: { socket: Socket }) => void sockets.push(connection.socket)
    } as never
    const listener = transport.createListener({ upgrader })
    await listener.listen(multiaddr('/ip4/127.0.0.1/tcp/0'))
    const signal = AbortSignal.timeout(5_000)
    await transport.dial(listener.getAddrs()[0]!, { upgrader, signal })
    await expect.poll(() => sockets).toHaveLength(2)
    for (const { timeout } of sockets) expect(timeout).toBe(0)
    for (const socket of sockets) socket.destroy()
    await listener.close()
  })

  it('a TCP listener has its server, with one listener for connections', () => {
    const transport = tcp()({ logger: { forComponent: () => silent } })
    const { server } = transport.createListener({ upgrader: {} as never }) as unknown as { server: Server }
    expect(server.listeners('connection')).toHaveLength(1)
  })
})
