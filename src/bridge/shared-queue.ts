/**
 * A queue of records between exactly two threads, one writing and one reading, neither ever waiting for the other
 * (docs/decisions/0002). It is a chain of segments of shared memory. In a segment, payload bytes grow from the front
 * and 16-byte record headers from the back, so that the payloads of neighbouring records lie side by side and a run
 * of them moves with one copy. A record becomes visible with one atomic store.
 *
 *     | published | next | free | pooled || payload 0 | payload 1 | …  → …  ← | record 1 | record 0 |
 *
 * The queue itself has no bound: the writer must hold a credit for what it writes (limits.sender…, receiver…).
 */
import { FIRST_SEGMENT_BYTES, SEGMENT_BYTES } from './limits.ts'

const HEADER_BYTES = 16
const RECORD_BYTES = 16
const RECORD_WORDS = RECORD_BYTES / 4

/** Header words. `next`: ID of the segment that follows, 0 while this one takes records. */
const PUBLISHED = 0
const NEXT = 1
const FREE = 2
const POOLED = 3

/** How a new segment reaches the other thread: once, by reference. */
export interface SegmentNotice {
  segment: number
  memory: SharedArrayBuffer
}

class Segment {
  readonly id: number
  readonly memory: SharedArrayBuffer
  readonly words: Int32Array<SharedArrayBuffer>
  readonly bytes: Uint8Array<SharedArrayBuffer>

  constructor(id: number, memory: SharedArrayBuffer) {
    this.id = id
    this.memory = memory
    this.words = new Int32Array(memory)
    this.bytes = new Uint8Array(memory)
  }
}

/** The writing end. */
export class QueueWriter {
  readonly #announce: (notice: SegmentNotice) => void
  readonly #fullBytes: number
  readonly #pool: Segment[] = []
  #lastId = 0
  #segment: Segment
  #records = 0

  /** The current segment's memory and where the next payload goes: write after `reserve`, then `commit`. */
  bytes: Uint8Array<SharedArrayBuffer>
  at: number = HEADER_BYTES

  /**
   * `announce` hands a new segment to the reader; it must arrive before anything sent later. Segments begin with
   * `firstBytes` and double up to `fullBytes`.
   */
  constructor(
    announce: (notice: SegmentNotice) => void,
    firstBytes: number = FIRST_SEGMENT_BYTES,
    fullBytes: number = SEGMENT_BYTES
  ) {
    this.#announce = announce
    this.#fullBytes = fullBytes
    this.#segment = this.#create(firstBytes)
    this.bytes = this.#segment.bytes
  }

  /** Makes sure that `payloadBytes` can be written at `at`, followed by a `commit`. */
  reserve(payloadBytes: number): void {
    const end = this.bytes.length - (this.#records + 1) * RECORD_BYTES
    if (this.at + payloadBytes > end) this.#roll(payloadBytes)
  }

  /** Publishes one record whose payload is the `payloadBytes` at `at`. `kind` below 256, `handle` below 2^24. */
  commit(kind: number, handle: number, payloadBytes: number, a: number, b: number): void {
    const words = this.#segment.words
    const record = words.length - (this.#records + 1) * RECORD_WORDS
    words[record] = (kind << 24) | handle
    words[record + 1] = payloadBytes
    words[record + 2] = a
    words[record + 3] = b
    this.at += payloadBytes
    Atomics.store(words, PUBLISHED, ++this.#records)
  }

  #roll(payloadBytes: number): void {
    const needed = HEADER_BYTES + RECORD_BYTES + payloadBytes
    const full = this.#fullBytes
    let size = Math.min(full, this.bytes.length * 2)
    while (size < needed) size = size < full ? Math.min(full, size * 2) : size * 2
    const next = this.#recycle(size) ?? this.#create(size)
    Atomics.store(this.#segment.words, NEXT, next.id)
    this.#segment = next
    this.#records = 0
    this.bytes = next.bytes
    this.at = HEADER_BYTES
  }

  #recycle(size: number): Segment | undefined {
    const free = this.#pool.find(s => s.bytes.length === size && Atomics.load(s.words, FREE) === 1)
    if (free === undefined) return undefined
    free.words[PUBLISHED] = 0
    free.words[NEXT] = 0
    Atomics.store(free.words, FREE, 0)
    return free
  }

  #create(size: number): Segment {
    const segment = new Segment(++this.#lastId, new SharedArrayBuffer(size))
    // The few small ones of the beginning are used once. All others are kept: shared memory that is thrown away does not
    // count where V8 decides when to collect garbage, and would lie about.
    if (size >= this.#fullBytes) {
      segment.words[POOLED] = 1
      this.#pool.push(segment)
    }
    this.#announce({ segment: segment.id, memory: segment.memory })
    return segment
  }
}

/**
 * The reading end. After `next()` the fields describe one record. The memory of a record stays as it is until the
 * second `next()` after it, so that a run of neighbouring records can be handled when the one behind it is known.
 */
export class QueueReader {
  readonly #fetch: () => void
  readonly #announced = new Map<number, Segment>()
  #segment: Segment | undefined
  /** Left behind by the latest `next()`; given back by the following one. */
  #left: Segment | undefined
  #records = 0
  #at = HEADER_BYTES

  kind = 0
  handle = 0
  a = 0
  b = 0
  /** Memory that holds the record's payload, from `begin` to `end`. */
  bytes: Uint8Array<SharedArrayBuffer> = new Uint8Array(new SharedArrayBuffer(0))
  begin = 0
  end = 0

  /** `fetch` takes in all notices that have arrived, calling `announce` for this queue's. */
  constructor(fetch: () => void) {
    this.#fetch = fetch
  }

  /** A new segment has arrived from the writer. */
  announce(notice: SegmentNotice): void {
    this.#announced.set(notice.segment, new Segment(notice.segment, notice.memory))
  }

  /** Moves to the next record; false when there is none yet. */
  next(): boolean {
    if (this.#left !== undefined) this.#giveBack(this.#left)
    let segment = (this.#segment ??= this.#lookUp(1))
    if (segment === undefined) return false
    while (this.#records === Atomics.load(segment.words, PUBLISHED)) {
      const following = Atomics.load(segment.words, NEXT)
      // A record may have been published between the two loads: the segment is used up only if none was.
      if (following === 0 || this.#records !== Atomics.load(segment.words, PUBLISHED)) {
        if (following === 0) return false
        break
      }
      segment = this.#leave(segment, following)
      if (segment === undefined) return false
    }
    const words = segment.words
    const record = words.length - (this.#records + 1) * RECORD_WORDS
    const head = words[record]!
    this.kind = head >>> 24
    this.handle = head & 0xff_ffff
    this.a = words[record + 2]!
    this.b = words[record + 3]!
    this.bytes = segment.bytes
    this.begin = this.#at
    this.end = this.#at += words[record + 1]!
    this.#records++
    return true
  }

  #leave(done: Segment, following: number): Segment | undefined {
    const next = this.#lookUp(following)
    if (next === undefined) return undefined
    this.#left = done
    this.bytes = next.bytes
    this.#segment = next
    this.#records = 0
    this.#at = HEADER_BYTES
    return next
  }

  #giveBack(segment: Segment): void {
    this.#left = undefined
    if (segment.words[POOLED] === 0) this.#announced.delete(segment.id)
    Atomics.store(segment.words, FREE, 1)
  }

  #lookUp(id: number): Segment | undefined {
    if (!this.#announced.has(id)) this.#fetch()
    return this.#announced.get(id)
  }
}
