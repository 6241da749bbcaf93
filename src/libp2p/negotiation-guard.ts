import type { MessageStream } from '@libp2p/interface'
import type { Uint8ArrayList } from 'uint8arraylist'
import { eachPart } from '../memory/index.ts'

/** A line of multistream-select is at most this long, its length at most two bytes. */
const MAX_LINE_BYTES = 1_024
/** The first line of both sides (multistream-select specification, "Protocol"); its length is its first byte. */
const HEADER_LINE_BYTES = '/multistream/1.0.0\n'.length
/** Lines that a remote may offer before one is agreed on. */
const MAX_LINES = 32
/** Lines of those that may be refused before they are counted: protocols, or versions, to choose from. */
const FREE_REFUSALS = 4

/** The part of libp2p's AbstractMessageStream that the guard stands in front of. */
type Readable = MessageStream & {
  onData: (data: Uint8Array | Uint8ArrayList) => void
  readBuffer: Uint8ArrayList
}

/**
 * Watches a remote negotiate a protocol (multistream-select) and stops it at the first byte that cannot be right.
 * The reader behind it takes time that grows with the square of the length of a broken prefix, so a few hundred
 * kilobytes would stop this thread for seconds. When one of the lines `accepts` has gone by the guard steps aside: what
 * follows belongs to that protocol, even if the answer is still on its way.
 *
 * @param refused called for each line beyond some that names another protocol; it may throw
 * @returns tells whether one has gone by
 */
export function guardNegotiation(
  stream: MessageStream,
  accepts: readonly string[],
  fail: (reason: string) => void,
  refused: () => void = () => {}
): () => boolean {
  const readable = stream as Readable
  const onData = readable.onData.bind(readable)
  const lines = new LineReader(accepts, refused)
  // What came before the guard is held by the stream, and is read first.
  const early = lines.push(readable.readBuffer)
  if (early !== undefined) {
    fail(early)
    return () => false
  }
  if (lines.done) return () => true
  readable.onData = data => {
    const reason = lines.push(data)
    if (reason !== undefined) {
      fail(reason)
      return
    }
    if (lines.done) readable.onData = onData
    onData(data)
  }
  return () => lines.done
}

/** Reads length-prefixed lines just far enough to know that they are lines. */
class LineReader {
  readonly #accepts: readonly string[]
  readonly #refused: () => void
  readonly #longest: number
  #lines = 0
  /** Of the current line: its length once known, the prefix's first byte before that, and its first bytes as text. */
  #length = -1
  #low = -1
  #text = ''
  #left = 0
  done = false

  constructor(accepts: readonly string[], refused: () => void) {
    this.#refused = refused
    this.#accepts = accepts.map(name => `${name}\n`)
    this.#longest = Math.max(...this.#accepts.map(line => line.length))
  }

  /** Takes bytes; the reason when they are no line. */
  push(data: Uint8Array | Uint8ArrayList): string | undefined {
    for (const part of eachPart(data)) {
      for (let at = 0; at < part.length && !this.done; at++) {
        const reason = this.#left > 0 ? this.#character(part[at]!) : this.#prefix(part[at]!)
        if (reason !== undefined) return reason
      }
    }
    return undefined
  }

  #prefix(byte: number): string | undefined {
    if (this.#low < 0 && byte >= 0x80) {
      this.#low = byte & 0x7f
      return undefined
    }
    this.#length = this.#low < 0 ? byte : this.#low + byte * 128
    this.#low = -1
    if (this.#lines === 0 && this.#length !== HEADER_LINE_BYTES) {
      return 'protocol negotiation: what the remote says is not multistream-select'
    }
    if (byte >= 0x80 || this.#length === 0 || this.#length > MAX_LINE_BYTES) {
      return 'protocol negotiation: not the length of a line'
    }
    if (++this.#lines > MAX_LINES) return `protocol negotiation: more than ${MAX_LINES} lines`
    this.#left = this.#length
    this.#text = ''
    return undefined
  }

  #character(byte: number): string | undefined {
    if (this.#text.length < this.#longest) this.#text += String.fromCharCode(byte)
    if (--this.#left > 0) return undefined
    if (byte !== 0x0a) return 'protocol negotiation: a line without its end'
    this.done = this.#length <= this.#longest && this.#accepts.includes(this.#text)
    // The first line is that of multistream-select.
    if (!this.done && this.#lines > 1 + FREE_REFUSALS) this.#refused()
    return undefined
  }
}
