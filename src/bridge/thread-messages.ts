/** What the two threads say to each other over their one message port, besides what is in shared memory. */
import type { getDefaultResultOrder } from 'node:dns'
import type { AllowListContent, AllowListEntry } from '../allow-list/index.ts'
import type { ResolvedOptions } from '../options.ts'
import type { PlainError } from '../errors.ts'
import type { LogRecord } from '../log.ts'
import type { SegmentNotice } from './shared-queue.ts'

/** Everything the runtime thread starts with. */
export interface RuntimeData {
  /** The application's `VERSION`. */
  version: string
  control: Int32Array<SharedArrayBuffer>
  dropped: SharedArrayBuffer
  /** libp2p protobuf. */
  privateKey: Uint8Array
  /** Multiaddrs to listen on. */
  listen: string[]
  /** What `dns.setDefaultResultOrder` or `--dns-result-order` has set for the application; threads do not share it. */
  resultOrder: ReturnType<typeof getDefaultResultOrder>
  options: ResolvedOptions
}

/** Look into the shared memory: the sender channel (for the runtime), or an awaited channel (for the application). */
export const DOORBELL = 0

/** Announces a queue's new segment. */
export interface QueueNotice extends SegmentNotice {
  queue: 'commands' | 'events' | 'priority'
}

/** Asks the runtime for something and awaits its answer; changes take effect after all commands handed over before. */
export type ControlRequest =
  | { method: 'allow-list.add'; entry: AllowListEntry }
  | { method: 'allow-list.remove'; peerId: string }
  | { method: 'allow-list.replace'; list: AllowListContent }
  | { method: 'allow-list.allow-all'; on: boolean }
  | { method: 'allow-list.entries' }
  | { method: 'inspect' }

export interface RequestMessage {
  request: number
  body: ControlRequest
}

export type ReplyMessage = { reply: number; value: unknown } | { reply: number; error: PlainError }

/** The first message: the runtime listens, or says why it cannot. */
export type StartedMessage = { started: { addresses: string[] } } | { started: { error: PlainError } }

/** Records of the log. */
export interface LogMessage {
  log: LogRecord[]
}

export type ToRuntime = typeof DOORBELL | QueueNotice | RequestMessage
export type ToApplication = typeof DOORBELL | QueueNotice | ReplyMessage | StartedMessage | LogMessage
