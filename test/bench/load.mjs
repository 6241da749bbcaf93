/**
 * The work of one measurement, the same for every contender, and the proof that it was done: the sending process
 * draws numbered messages from a `Load`, the receiving process checks each in a `Tally`.
 */
import { Histogram } from './statistics.mjs'

/** Messages in flight hold at most so many bytes, which is also `limits.senderBytes` of the module. */
export const MAX_BYTES_IN_FLIGHT = 64 * 1024 * 1024
/** Of many messages in flight only about so many are timed: reading the clock costs as much as a small message. */
const TIMED_SLOTS = 64
/** A message carries its number at both ends. */
export const MIN_SIZE = 8

/** How many messages of a size may be in flight when so many are wanted. */
export function boundedFlight(size, flight) {
  return Math.max(1, Math.min(flight, Math.floor(MAX_BYTES_IN_FLIGHT / size)))
}

/** The buffers that messages are written in. One belongs to a message from `take` to its ack. */
export function createSlots(size, flight) {
  return Array.from({ length: flight }, () => Buffer.alloc(size))
}

/** Every how-manieth message is timed. */
function strideOf(flight) {
  return Math.ceil(flight / TIMED_SLOTS)
}

/**
 * Numbered messages until the time is over or all are sent, and the time from handing each over until its ack was
 * read. Acks in order: `next` and `settled`. Any order: `take` and `acknowledged`, with one slot for each lane.
 */
export class Load {
  /** Handed over; acked. */
  sent = 0
  acked = 0
  histogram = new Histogram()
  #slots
  #begun
  #full
  #limit
  #until
  #stride
  #first = 0
  #last = 0
  #over = false

  /** @param {{ slots: Buffer[], ms?: number, messages?: number, full?: boolean }} init `full`: every byte differs */
  constructor({ slots, ms = Infinity, messages = Infinity, full = false }) {
    this.#slots = slots
    this.#begun = new Float64Array(slots.length)
    this.#full = full
    this.#limit = messages
    this.#until = performance.now() + ms
    this.#stride = strideOf(slots.length)
  }

  /** Messages that may be in flight. */
  get flight() {
    return this.#slots.length
  }

  /** All that will be sent is acked. */
  get done() {
    return this.#over && this.acked === this.sent
  }

  /** When the first message was handed over and the last ack was read, as times that processes have in common. */
  get span() {
    return { first: performance.timeOrigin + this.#first, last: performance.timeOrigin + this.#last }
  }

  /** The next message, in this slot; undefined when there are no more. */
  take(slot) {
    if (slot % this.#stride === 0) {
      const now = performance.now()
      this.#over ||= now >= this.#until
      if (this.sent === 0) this.#first = now
      this.#begun[slot] = now
    }
    this.#over ||= this.sent === this.#limit
    if (this.#over) return undefined
    const message = this.#slots[slot]
    write(message, this.sent++, this.#full)
    return message
  }

  /** The ack of the message in this slot has been read. */
  acknowledged(slot) {
    this.acked++
    const timed = slot % this.#stride === 0
    if (timed || this.acked === this.sent) this.#last = performance.now()
    if (timed) this.histogram.record(this.#last - this.#begun[slot])
  }

  /** The next message, if one more may be in flight. */
  next() {
    return this.sent - this.acked < this.flight ? this.take(this.sent % this.flight) : undefined
  }

  /** The ack of the oldest message in flight has been read. */
  settled() {
    if (this.acked === this.sent) throw new Error('an ack that answers no message')
    this.acknowledged(this.acked % this.flight)
  }
}

/** What the receiving application has read. */
export class Tally {
  messages = 0
  bytes = 0
  /** Sum of the numbers: with `messages` it tells whether each came once. */
  sum = 0
  damaged = 0
  /** When the last timed message was read, as a time that processes have in common. */
  last = 0
  #full
  #stride

  /** @param {{ flight: number, full?: boolean }} init `full`: check every byte */
  constructor({ flight, full = false }) {
    this.#full = full
    this.#stride = strideOf(flight)
  }

  /** The application has read a message. */
  take(message) {
    const number = readUint32(message, 0)
    if (this.messages++ % this.#stride === 0) this.last = performance.timeOrigin + performance.now()
    this.bytes += message.length
    this.sum += number
    if (readUint32(message, message.length - 4) !== number || (this.#full && !isWhole(message, number))) {
      this.damaged++
    }
  }
}

/** What is wrong with a measurement, if anything: everything sent must have been acked, and read once and whole. */
export function findFault({ sent, acked, size }, { messages, bytes, sum, damaged }) {
  if (sent === 0) return 'nothing was sent'
  if (acked !== sent) return `${sent} messages sent, ${acked} acked`
  if (messages !== sent) return `${sent} messages sent, ${messages} received`
  if (bytes !== sent * size) return `${sent * size} bytes sent, ${bytes} received`
  if (sum !== (sent * (sent - 1)) / 2) return 'messages lost and others doubled'
  if (damaged > 0) return `${damaged} messages damaged`
  return undefined
}

function write(message, number, full) {
  const { length } = message
  if (full) for (let i = 4; i < length - 4; i++) message[i] = patternAt(number, i)
  message.writeUInt32LE(number, 0)
  message.writeUInt32LE(number, length - 4)
}

function isWhole(message, number) {
  for (let i = 4; i < message.length - 4; i++) if (message[i] !== patternAt(number, i)) return false
  return true
}

function patternAt(number, i) {
  return (number * 7 + i * 131 + (i >>> 8)) & 0xff
}

function readUint32(bytes, at) {
  return (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0
}
