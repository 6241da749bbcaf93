import { Word } from '../bridge/index.ts'
import type { ControlBlock } from '../bridge/index.ts'

/** The words by which the application waits for one channel. */
interface SignalWords {
  signal: number
  armed: number
}

export const RECEIVER: SignalWords = { signal: Word.receiverSignal, armed: Word.receiverArmed }
export const PRIORITY: SignalWords = { signal: Word.prioritySignal, armed: Word.priorityArmed }

/** Wakes the application where it blocks on a channel, and rings where it awaits it on its event loop. */
export function signalTo(control: ControlBlock, { signal, armed }: SignalWords, ring: () => void): void {
  Atomics.add(control, signal, 1)
  Atomics.notify(control, signal)
  if (Atomics.exchange(control, armed, 0) === 1) ring()
}
