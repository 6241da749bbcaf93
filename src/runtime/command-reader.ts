import { CommandRecord, decodeText, Word } from '../bridge/index.ts'
import type { ControlBlock, PlainCommand, QueueReader } from '../bridge/index.ts'
import { MAX_BYTES_PER_TURN, MAX_RECORDS_PER_TURN } from './limits.ts'

/** Takes what the application has handed to the sender channel, in its order. */
export interface CommandHandler {
  /** From now on `handle` means this peer. */
  peer: (handle: number, peerId: string) => void
  /** `count` messages as whole wire frames, in shared memory that is given back when this returns: copy. */
  send: (handle: number, frames: Uint8Array, count: number) => void
  command: (command: PlainCommand) => void
}

/** Reads the sender channel. */
export class CommandReader {
  readonly #control: ControlBlock
  readonly #queue: QueueReader

  constructor(control: ControlBlock, queue: QueueReader) {
    this.#control = control
    this.#queue = queue
  }

  /** Takes what is there, within the bounds of one turn; true when something may be left. Call at every doorbell. */
  drain(handler: CommandHandler): boolean {
    // From here on a new command rings again: whatever it follows is either seen below or announced.
    Atomics.store(this.#control, Word.commandsRung, 0)
    const queue = this.#queue
    let records = 0
    let bytes = 0
    let more = queue.next()
    while (more) {
      if (queue.kind === CommandRecord.send) {
        // Neighbouring messages for one peer lie side by side in memory: pass them on as one.
        const { handle, begin, bytes: memory } = queue
        let end = queue.end
        let count = 1
        for (;;) {
          more = ++records < MAX_RECORDS_PER_TURN && queue.next()
          if (!more || queue.kind !== CommandRecord.send || queue.handle !== handle || queue.bytes !== memory)
            break
          end = queue.end
          count++
        }
        bytes += end - begin
        handler.send(handle, memory.subarray(begin, end), count)
      } else {
        const text = decodeText(queue.bytes, queue.begin, queue.end)
        if (queue.kind === CommandRecord.peer) handler.peer(queue.handle, text)
        else handler.command(JSON.parse(text) as PlainCommand)
        more = ++records < MAX_RECORDS_PER_TURN && queue.next()
      }
      if (more && bytes > MAX_BYTES_PER_TURN) {
        // The record just read must still be handled: hand it on alone, then leave.
        records = MAX_RECORDS_PER_TURN - 1
        bytes = 0
      }
    }
    return records >= MAX_RECORDS_PER_TURN
  }
}
