/**
 * A file from one node to another, in messages: its size, its contents, its SHA-256. The receiver answers each with how
 * much it has read, and the last with the SHA-256 that it has found. That is what sets the pace: a Status says that the
 * other side's channel has a message, an answer says that its application has read it.
 */
import { createHash } from 'node:crypto'
import { closeSync, openSync, readSync } from 'node:fs'
import type { EventLoop } from './event-loop.ts'
import { FILE_MESSAGE_BYTES, FILE_WINDOW_MESSAGES } from './limits.ts'
import type { Tally } from './tally.ts'

/** Sizes are 48 bits, up to 256 TiB. */
const SIZE_BYTES = 6

export interface Delivery {
  tally: Tally
  /** From the first byte read to the receiver's verdict. */
  ms: number
  /** How often the receiver's application was waited for. */
  waits: number
}

export interface Arrival {
  tally: Tally
  sha256: string
  bytes: number
}

/** Sends a file, reading each part when there is room for it: memory does not grow with the file. */
export function sendFile(loop: EventLoop, to: string, path: string, bytes: number): Delivery {
  const begin = performance.now()
  const hash = createHash('sha256')
  let unanswered = 0
  let waits = 0
  const takeAnswer = (): void => {
    decodeSize(loop.message(to))
    unanswered--
  }
  loop.send(to, encodeSize(bytes))
  for (const part of partsOf(path, bytes)) {
    if (unanswered === FILE_WINDOW_MESSAGES) {
      waits++
      takeAnswer()
    }
    // Copied when it returns.
    loop.send(to, part)
    unanswered++
    hash.update(part)
  }
  const sha256 = hash.digest()
  loop.send(to, sha256)
  while (unanswered > 0) takeAnswer()
  if (!sha256.equals(loop.message(to))) throw new Error('the receiver has got something else than was sent')
  loop.settle()
  return { tally: loop.tally, ms: performance.now() - begin, waits }
}

/** Takes in a file, of which nothing is kept but its size and SHA-256. */
export function receiveFile(loop: EventLoop, from: string, progress: (bytes: number) => void): Arrival {
  const hash = createHash('sha256')
  const wanted = decodeSize(loop.message(from))
  let bytes = 0
  while (bytes < wanted) {
    const part = loop.message(from)
    hash.update(part)
    bytes += part.length
    loop.send(from, encodeSize(bytes))
    progress(bytes)
  }
  if (bytes > wanted) throw new Error(`${bytes} bytes arrived, wanted ${wanted}`)
  const digest = hash.digest()
  const sha256 = digest.toString('hex')
  const sent = Buffer.from(loop.message(from))
  if (!digest.equals(sent)) throw new Error(`SHA-256 ${sha256} arrived, ${sent.toString('hex')} was sent`)
  loop.send(from, digest)
  loop.settle()
  return { tally: loop.tally, sha256, bytes }
}

/** A file's contents in parts that share one buffer. @throws Error when it is shorter than `bytes` */
function* partsOf(path: string, bytes: number): Generator<Buffer> {
  const buffer = Buffer.allocUnsafe(FILE_MESSAGE_BYTES)
  const fd = openSync(path, 'r')
  try {
    for (let left = bytes; left > 0;) {
      const length = readSync(fd, buffer, 0, Math.min(left, buffer.length), null)
      if (length === 0) throw new Error(`${path} has become shorter while it was being sent`)
      left -= length
      yield buffer.subarray(0, length)
    }
  } finally {
    closeSync(fd)
  }
}

function encodeSize(bytes: number): Buffer {
  const message = Buffer.alloc(SIZE_BYTES)
  message.writeUIntBE(bytes, 0, SIZE_BYTES)
  return message
}

function decodeSize(message: Uint8Array): number {
  if (message.length !== SIZE_BYTES) throw new Error(`a message of ${message.length} bytes is no size`)
  return Buffer.from(message).readUIntBE(0, SIZE_BYTES)
}
