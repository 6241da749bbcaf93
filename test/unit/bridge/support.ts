import { SendLedgers } from '../../../src/application/send-ledger.ts'
import { CommandReader } from '../../../src/runtime/command-reader.ts'
import { createControlBlock, RuntimeState, Word } from '../../../src/bridge/control-block.ts'
import { createDroppedMemory } from '../../../src/bridge/dropped-counters.ts'
import { createSender } from '../../../src/application/sender.ts'
import { DroppedSource } from '../../../src/application/dropped-source.ts'
import { DroppedWriter } from '../../../src/runtime/dropped-writer.ts'
import { EventWriter } from '../../../src/runtime/event-writer.ts'
import { P2pEventSource } from '../../../src/application/event-source.ts'
import { QueueReader, QueueWriter } from '../../../src/bridge/shared-queue.ts'
import type { CommandHandler } from '../../../src/runtime/command-reader.ts'
import type { ControlBlock } from '../../../src/bridge/control-block.ts'
import type { ControlEvent, P2pEvent } from '../../../src/bridge/types.ts'
import type { ReceiverLimits } from '../../../src/runtime/event-writer.ts'
import type { SegmentNotice } from '../../../src/bridge/shared-queue.ts'
import type { SenderChannel } from '../../../src/application/sender.ts'
import { P2pError, shown } from '../../../src/errors.ts'
import type { FrameRun } from '../../../src/framing/index.ts'
import { concat, frame, payloads } from '../../support/frames.ts'

export { concat, frame, payloads } from '../../support/frames.ts'

/** Seed of every property in this folder; fast-check prints it when one fails. */
export const seed = 0x6368616e

/** Both ends of a queue in one thread. Notices of new segments wait in `notices` until the reader fetches them. */
export interface QueuePair {
  writer: QueueWriter
  reader: QueueReader
  notices: SegmentNotice[]
  /** Segments announced so far. */
  segments: () => number
}

/** Bytes of the first and of a full segment. */
type Segments = [first: number, full: number]

export function queuePair(fetches = true, sizes?: Segments): QueuePair {
  const notices: SegmentNotice[] = []
  let segments = 0
  const deliver = (): void => {
    for (const notice of notices.splice(0)) reader.announce(notice)
  }
  const reader: QueueReader = new QueueReader(fetches ? deliver : () => {})
  const writer = new QueueWriter(
    notice => {
      segments++
      notices.push(notice)
    },
    ...(sizes ?? [])
  )
  return { writer, reader, notices, segments: () => segments }
}

/** Writes one record. */
export function put(writer: QueueWriter, payload: Uint8Array, kind = 1, handle = 0, a = 0, b = 0): void {
  writer.reserve(payload.length)
  writer.bytes.set(payload, writer.at)
  writer.commit(kind, handle, payload.length, a, b)
}

export interface QueueRecord {
  kind: number
  handle: number
  a: number
  b: number
  payload: Uint8Array
}

/** Reads one record. */
export function get(reader: QueueReader): QueueRecord | undefined {
  if (!reader.next()) return undefined
  const { kind, handle, a, b } = reader
  return { kind, handle, a, b, payload: reader.bytes.slice(reader.begin, reader.end) }
}

/** Bytes that differ from their neighbours and from those of another salt. */
export function pattern(length: number, salt = 0): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + (i >>> 8) * 7 + salt) & 0xff
  return bytes
}

/** A run of messages as the frame decoder hands it on. */
export function runOf(messages: Uint8Array[]): FrameRun {
  const bytes = concat(messages.map(frame))
  const payloadBytes = messages.reduce((sum, message) => sum + message.length, 0)
  return { parts: [bytes], wireBytes: bytes.length, payloadBytes, count: messages.length }
}

export function running(): ControlBlock {
  const control = createControlBlock()
  Atomics.store(control, Word.state, RuntimeState.running)
  return control
}

/** Peer IDs of the tests are texts that begin with 'peer-', in lower case; upper case is another spelling. */
export function parsePeerId(text: unknown): string {
  if (typeof text === 'string' && /^peer-/i.test(text)) return text.toLowerCase()
  throw new P2pError('ERR_INVALID_PEER_ID', `${shown(text)} is not a peer ID`)
}

export function parseAddress(text: unknown, peerId: string): string {
  if (typeof text === 'string' && text.includes(':')) return `/${peerId}/${text}`
  throw new P2pError('ERR_INVALID_ADDRESS', `${shown(text)} is not an address`)
}

export interface BenchLimits {
  messages: number
  bytes: number
  messageBytes: number
}

/** All three channels, both ends in one thread. */
export class Bench {
  readonly control: ControlBlock = running()
  readonly ledgers = new SendLedgers()
  readonly dials = new Map<number, string>()
  readonly commands: QueuePair
  readonly events: QueuePair
  readonly sender: SenderChannel
  readonly reader: CommandReader
  readonly writer: EventWriter
  readonly source: P2pEventSource
  rings = 0
  endings = 0
  signals = 0
  /** What the runtime does to wake the application. */
  onSignal = (): void => {}

  constructor(
    sending: BenchLimits = { messages: 65_536, bytes: 64 * 1024 * 1024, messageBytes: 8 * 1024 * 1024 },
    receiving: ReceiverLimits = { messages: 65_536, bytes: 64 * 1024 * 1024 },
    segments?: Segments
  ) {
    this.commands = queuePair(true, segments)
    this.events = queuePair(true, segments)
    const { control, ledgers, dials, commands, events } = this
    this.sender = createSender({
      control,
      queue: commands.writer,
      ledgers,
      dials,
      limits: sending,
      self: 'peer-self',
      ring: () => this.rings++,
      ending: () => this.endings++,
      parsePeerId,
      parseAddress
    })
    this.reader = new CommandReader(control, commands.reader)
    this.writer = new EventWriter(control, events.writer, receiving, () => {
      this.signals++
      this.onSignal()
    })
    this.source = new P2pEventSource(control, events.reader, ledgers, dials)
  }

  /** Everything that waits on the sender channel. */
  drainCommands(): Received {
    const received = new Received()
    while (this.reader.drain(received));
    return received
  }

  /** Everything that waits on the receiver channel. */
  drainEvents(): P2pEvent[] {
    const events: P2pEvent[] = []
    for (let event = this.source.take(); event !== undefined; event = this.source.take()) events.push(event)
    return events
  }
}

/** What the runtime's end of the sender channel was told, in order. */
export class Received implements CommandHandler {
  readonly peers: string[] = []
  /** Messages as 'peer: text or size'. */
  readonly messages: Array<{ peerId: string; payload: Uint8Array }> = []
  /** Everything as text. */
  readonly log: string[] = []
  /** Sizes of the runs that messages came in. */
  readonly runs: number[] = []

  peer(handle: number, peerId: string): void {
    this.peers[handle] = peerId
  }

  send(handle: number, frames: Uint8Array, count: number): void {
    const peerId = this.peers[handle]!
    const found = payloads(frames.slice())
    if (found.length !== count) throw new Error(`${found.length} frames, told ${count}`)
    this.runs.push(count)
    for (const payload of found) {
      this.messages.push({ peerId, payload })
      this.log.push(`send ${peerId} ${payload.length}`)
    }
  }

  command(command: Parameters<CommandHandler['command']>[0]): void {
    this.log.push(JSON.stringify(command))
  }
}

/** Both ends of the priority channel in one thread. */
export function droppedPair(
  slots?: number,
  segments?: Segments
): {
  control: ControlBlock
  writer: DroppedWriter
  source: DroppedSource
  memory: SharedArrayBuffer
  signals: () => number
} {
  const control = running()
  const memory = createDroppedMemory(slots)
  const queue = queuePair(true, segments)
  let signals = 0
  const writer = new DroppedWriter(control, memory, queue.writer, () => signals++)
  const source = new DroppedSource(control, memory, queue.reader)
  return { control, writer, source, memory, signals: () => signals }
}

/** How a dial to a connected peer ends. */
export function already(id: number): ControlEvent {
  return { type: 'AlreadyConnected', peerId: 'peer-a', keyHash: '00'.repeat(32), address: '', id }
}
