export type {
  Command,
  ControlEvent,
  DialFailure,
  DisconnectCode,
  MisbehaviourCause,
  Offender,
  P2pEvent,
  PriorityEvent,
  StatusFailure
} from './types.ts'
export { createControlBlock, hasEnded, RuntimeState, Word } from './control-block.ts'
export type { ControlBlock } from './control-block.ts'
export { QueueReader, QueueWriter } from './shared-queue.ts'
export type { SegmentNotice } from './shared-queue.ts'
export { Books } from './books.ts'
export { createSender } from './sender.ts'
export type { PlainCommand, Sender, SenderChannel } from './sender.ts'
export { ReceiverChannel } from './receiver.ts'
export type { Receiver, RecvOptions } from './receiver.ts'
export { P2pEventSource } from './event-source.ts'
export { createDroppedMemory, DroppedSource, DroppedWriter } from './dropped.ts'
export { CommandReader, EventWriter, MAX_UNREAD_CONTROL } from './runtime-end.ts'
export type { CommandHandler, ReceiverLimits } from './runtime-end.ts'
export { DOORBELL } from './thread.ts'
export type {
  ControlRequest,
  QueueNotice,
  ReplyMessage,
  RequestMessage,
  RuntimeData,
  StartedMessage,
  ToApplication,
  ToRuntime
} from './thread.ts'
export type { RuntimeSnapshot } from './snapshot.ts'
