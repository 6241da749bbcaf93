/** Message streams of our own: write messages, and match the acks to them by order. */
import { AckDecoder, frame } from './frames.mjs'

/** Counts of a series: acks by status, and messages of unknown outcome. */
export class Outcomes {
  acks = { 0: 0, 1: 0, 2: 0 }
  unanswered = 0

  add(status) {
    if (status === undefined) this.unanswered++
    else this.acks[status]++
  }
}

/** One stream for messages; it may carry one, or any number. */
export class MessageStream {
  #stream
  /** Who waits for the next ack comes first. */
  #pending = []

  constructor(stream) {
    this.#stream = stream
    const decoder = new AckDecoder()
    stream.addEventListener('message', ({ data }) => {
      try {
        for (const status of decoder.push(data)) {
          const settle = this.#pending.shift()
          if (settle === undefined) throw new Error('an ack that answers no message')
          settle(status)
        }
      } catch (err) {
        stream.abort(err)
      }
    })
    const over = () => {
      for (const settle of this.#pending.splice(0)) settle(undefined)
    }
    stream.addEventListener('end', over)
    stream.addEventListener('close', over)
  }

  get usable() {
    return this.#stream.writeStatus === 'writable' && this.#stream.remoteWriteStatus !== 'closed'
  }

  /**
   * Writes a message, and tells when there is room for the next.
   *
   * @param settle takes the ack's status, or `undefined` when the stream ends before there is one
   */
  async write(payload, settle) {
    if (!this.usable) return settle(undefined)
    this.#pending.push(settle)
    if (!this.#stream.send(frame(payload))) await this.#stream.onDrain().catch(() => {})
  }

  /** No message follows. */
  async close() {
    await this.#stream.close().catch(() => {})
  }

  reset() {
    this.#stream.abort(new Error('given up'))
  }
}

/** So many at once. */
class Slots {
  #free
  #waiting = []

  constructor(count) {
    this.#free = count
  }

  async take() {
    if (this.#free > 0) this.#free--
    else await new Promise(resolve => this.#waiting.push(resolve))
  }

  give() {
    const next = this.#waiting.shift()
    if (next === undefined) this.#free++
    else next()
  }
}

/** Sends messages, at most `window` of them unanswered; `begin` starts with one, and settles when the next may come. */
export async function sendAll({ count, window }, begin) {
  const outcomes = new Outcomes()
  const slots = new Slots(window)
  const settled = []
  for (let i = 0; i < count; i++) {
    await slots.take()
    let settle
    settled.push(new Promise(resolve => (settle = resolve)))
    await begin(i, status => {
      outcomes.add(status)
      slots.give()
      settle()
    })
  }
  await Promise.all(settled)
  return outcomes
}
