export type {
  Command,
  ControlEvent,
  DialFailure,
  DisconnectCode,
  MisbehaviourCause,
  Offender,
  P2pEvent,
  PlainCommand,
  PriorityEvent,
  StatusFailure
} from './types.ts'
export { createControlBlock, hasEnded, RuntimeState, Word } from './control-block.ts'
export type { ControlBlock } from './control-block.ts'
export { QueueReader, QueueWriter } from './shared-queue.ts'
export type { SegmentNotice } from './shared-queue.ts'
export {
  CommandRecord,
  decodeText,
  encodeText,
  EventRecord,
  outcomeCode,
  OUTCOMES,
  PriorityRecord
} from './record-codes.ts'
export { Counters, createDroppedMemory } from './dropped-counters.ts'
export type { Count } from './dropped-counters.ts'
export { DOORBELL } from './thread-messages.ts'
export type {
  ControlRequest,
  LogMessage,
  QueueNotice,
  ReplyMessage,
  RequestMessage,
  RuntimeData,
  StartedMessage,
  ToApplication,
  ToRuntime
} from './thread-messages.ts'
export type { RuntimeSnapshot } from './snapshot.ts'
