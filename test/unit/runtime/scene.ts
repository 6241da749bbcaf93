import { createControlBlock, Word } from '../../../src/bridge/control-block.ts'
import { createDroppedMemory } from '../../../src/bridge/dropped-counters.ts'
import {
  CommandRecord,
  decodeText,
  encodeText,
  EventRecord,
  OUTCOMES
} from '../../../src/bridge/record-codes.ts'
import type { ControlRequest } from '../../../src/bridge/thread-messages.ts'
import type { ControlEvent, PlainCommand } from '../../../src/bridge/types.ts'
import type { RuntimeSnapshot } from '../../../src/bridge/snapshot.ts'
import { generatePrivateKey, peerIdFromPrivateKey } from '../../../src/identity/index.ts'
import type { Link } from '../../../src/libp2p/link.ts'
import type { Node, NodeInit } from '../../../src/libp2p/node.ts'
import { resolveOptions } from '../../../src/options.ts'
import type { P2pOptions } from '../../../src/options.ts'
import { CommandReader } from '../../../src/runtime/command-reader.ts'
import { DroppedWriter } from '../../../src/runtime/dropped-writer.ts'
import { EventWriter } from '../../../src/runtime/event-writer.ts'
import { Runtime } from '../../../src/runtime/runtime.ts'
import { get, put, queuePair } from '../bridge/support.ts'
import { deferred, FakeClock, TestStream } from '../protocol/support.ts'
import type { Deferred } from '../protocol/support.ts'
import { FakeLink } from './fakes.ts'

const KEY = await generatePrivateKey()
export const SELF: string = peerIdFromPrivateKey(KEY)

/** What the runtime has published on the receiver channel. */
export type Told =
  | ControlEvent
  | { type: 'Status'; handle: number; outcome: string | undefined; count: number }
  | { type: 'Data'; peerId: string; count: number }

/** A runtime with all its parts, on a node and a clock that are the test's. The test is the application, too. */
export class RuntimeScene {
  readonly clock = new FakeClock()
  readonly control = createControlBlock()
  readonly links: FakeLink[] = []
  /** What the node was asked for. */
  readonly log: string[] = []
  /** TCP connections and handshakes of dials, by IP, that the test settles. */
  readonly sockets = new Map<string, Deferred<unknown>>()
  readonly handshakes = new Map<string, Deferred<unknown>>()
  readonly runtime: Runtime
  readonly events: EventWriter
  readonly dropped: DroppedWriter
  /** What becomes of the node's end. */
  readonly nodeStopped = deferred<void>()
  stopped = 0
  nodeInit!: NodeInit
  /** The handle of the last peer that was introduced on the receiver channel. */
  lastHandle = -1
  readonly #commands = queuePair()
  readonly #events = queuePair()
  readonly #names: string[] = []

  constructor(options: P2pOptions) {
    const { control } = this
    const resolved = resolveOptions(options)
    const { receiverMessages: messages, receiverBytes: bytes } = resolved.limits
    this.events = new EventWriter(control, this.#events.writer, { messages, bytes }, () => {})
    this.dropped = new DroppedWriter(control, createDroppedMemory(), queuePair().writer, () => {})
    this.runtime = new Runtime({
      privateKey: KEY,
      listen: ['/ip4/127.0.0.1/tcp/0'],
      resultOrder: 'verbatim',
      options: resolved,
      clock: this.clock,
      commands: new CommandReader(control, this.#commands.reader),
      events: this.events,
      dropped: this.dropped,
      log: {},
      strangers: {},
      createNode: async init => this.#createNode(init),
      stopped: () => this.stopped++
    })
  }

  static async start(options: P2pOptions = { allowList: 'allow-all' }): Promise<RuntimeScene> {
    const scene = new RuntimeScene(options)
    await scene.runtime.start()
    return scene
  }

  /** Hands a command over. */
  command(command: PlainCommand): void {
    put(this.#commands.writer, encodeText(JSON.stringify(command)), CommandRecord.command)
    this.runtime.drainCommands()
  }

  /** Hands messages over, without a word to the runtime. */
  send(handle: number, peerId: string, ...frames: Uint8Array[]): void {
    put(this.#commands.writer, encodeText(peerId), CommandRecord.peer, handle)
    for (const bytes of frames) put(this.#commands.writer, bytes, CommandRecord.send, handle)
  }

  request(request: ControlRequest): unknown {
    return this.runtime.request(request)
  }

  inspect(): RuntimeSnapshot {
    return this.runtime.request({ method: 'inspect' }) as RuntimeSnapshot
  }

  /** The charges of an address or a peer, as `cause: evidence (cost)`. */
  debits(key: string): string[] {
    const bucket = this.inspect().buckets.find(({ ip, peerId }) => ip === key || peerId === key)
    return (bucket?.debits ?? []).map(({ cause, evidence, cost }) => `${cause}: ${evidence} (${cost})`)
  }

  /** What has been published since the last call; now it is read. */
  told(): Told[] {
    const told: Told[] = []
    for (let record = get(this.#events.reader); record !== undefined; record = get(this.#events.reader)) {
      const { kind, handle, a, b, payload } = record
      if (kind === EventRecord.peer) {
        this.#names[handle] = decodeText(payload, 0, payload.length)
        this.lastHandle = handle
      } else if (kind === EventRecord.status)
        told.push({ type: 'Status', handle, outcome: OUTCOMES[b], count: a })
      else if (kind === EventRecord.data) {
        told.push({ type: 'Data', peerId: this.#names[handle]!, count: a })
        Atomics.add(this.control, Word.messagesRead, a)
      } else {
        told.push(JSON.parse(decodeText(payload, 0, payload.length)) as ControlEvent)
        Atomics.add(this.control, Word.controlRead, 1)
      }
    }
    return told
  }

  /** A connection that has passed every local check. */
  connect(
    peerId: string,
    direction: 'inbound' | 'outbound' = 'inbound',
    about: Partial<FakeLink> = {}
  ): FakeLink {
    const link = this.#link(peerId, direction)
    Object.assign(link, about)
    this.nodeInit.opened(link as unknown as Link)
    return link
  }

  /** The peer opens a message stream. */
  stream(link: FakeLink): TestStream {
    const stream = new TestStream()
    const use = { served: () => this.log.push('served'), wasted: () => this.log.push('wasted') }
    this.nodeInit.stream(link as unknown as Link, stream, use)
    return stream
  }

  /** The dial to an IP that is under way connects and shakes hands, or the test's error ends it. */
  async reach(ip: string, peerId: string, error?: Error): Promise<FakeLink | undefined> {
    await settled()
    this.sockets.get(ip)!.resolve({ ip, connection: { abort: () => this.log.push(`drop ${ip}`) } })
    await settled()
    if (error !== undefined) {
      this.handshakes.get(ip)!.reject(error)
      await settled()
      return undefined
    }
    const link = this.connect(peerId, 'outbound')
    this.handshakes.get(ip)!.resolve(link)
    await settled()
    return link
  }

  #link(peerId: string, direction: 'inbound' | 'outbound'): FakeLink {
    const link = new FakeLink(peerId, direction, ended => {
      this.links.splice(this.links.indexOf(ended), 1)
      this.nodeInit.closed(ended as unknown as Link)
    })
    link.begunAt = direction === 'inbound' ? this.clock.now() : undefined
    this.links.push(link)
    return link
  }

  #createNode(init: NodeInit): Node {
    this.nodeInit = init
    const begin = async (
      tasks: Map<string, Deferred<unknown>>,
      ip: string,
      signal: AbortSignal
    ): Promise<never> => {
      const task = deferred<unknown>()
      signal.addEventListener('abort', () => task.reject(signal.reason as Error))
      tasks.set(ip, task)
      return task.promise as Promise<never>
    }
    return {
      addresses: ['/ip4/127.0.0.1/tcp/4001'],
      open: async (address, _, signal) => begin(this.sockets, address.split('/')[2]!, signal),
      dial: async (opened, signal) =>
        begin(this.handshakes, (opened as unknown as { ip: string }).ip, signal),
      endHandshakes: (key, reason) => this.log.push(`end handshakes of ${key}: ${reason}`),
      stop: async () => {
        this.log.push('stop')
        return this.nodeStopped.promise
      }
    }
  }
}

/** Everything that needs no time has happened. */
export async function settled(): Promise<void> {
  for (let turns = 0; turns < 3; turns++) await new Promise(resolve => setImmediate(resolve))
}
