/**
 * The words of shared memory through which the two threads see each other without a message: the runtime's state,
 * what the application has read (credits), and the signals that wake a waiting thread.
 */

/** Index of each 32-bit word. Counters wrap around; only differences are used. */
export const Word = {
  /** A `RuntimeState`. */
  state: 0,
  /** 1 while a doorbell for the runtime is on its way: further commands need no second one. */
  commandsRung: 1,
  /** Bumped at every publication on the receiver channel; a blocked `recv` waits on it. */
  receiverSignal: 2,
  /** 1 while somebody awaits the receiver channel on the event loop and wants a doorbell. */
  receiverArmed: 3,
  /** Data and control events published on the receiver channel. */
  receiverWritten: 4,
  /** Data events read by the application: the credit the runtime admits messages by. */
  messagesRead: 5,
  /** Payload bytes of those. */
  bytesRead: 6,
  /** Control events (neither Data nor Status) read by the application. */
  controlRead: 7,
  /** Status events published on the receiver channel. */
  statusWritten: 8,
  /** Signal, doorbell wish and events published of the priority channel. */
  prioritySignal: 9,
  priorityArmed: 10,
  priorityWritten: 11,
  /** Bumped at every reply to a control request. */
  replySignal: 12,
  /** Connected less Disconnected events published on the receiver channel: peers that are owed a Disconnected. */
  peersConnected: 13,
  /** Outcomes of dials published there. */
  dialsAnswered: 14,
  /** Records of the log that the runtime has written and the application has not taken. */
  logUnread: 15
} as const

const WORDS = 16

/** The runtime's life, in order; `failed` ends it from anywhere. */
export const RuntimeState = { starting: 0, running: 1, stopping: 2, stopped: 3, failed: 4 } as const
export type RuntimeState = (typeof RuntimeState)[keyof typeof RuntimeState]

/** Shared by both threads; the memory behind it is given to the runtime when it starts. */
export type ControlBlock = Int32Array<SharedArrayBuffer>

/** A zeroed control block. */
export function createControlBlock(): ControlBlock {
  return new Int32Array(new SharedArrayBuffer(WORDS * Int32Array.BYTES_PER_ELEMENT))
}

/** Whether the runtime has ended, well or badly. */
export function hasEnded(control: ControlBlock): boolean {
  return Atomics.load(control, Word.state) >= RuntimeState.stopped
}
