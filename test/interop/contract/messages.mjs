/** What the messages of the scenarios look like, and how a series of them is weighed. */
import { createHash } from 'node:crypto'

/** Message `i` of a `send`: told from its neighbours by its first bytes, and from a shifted copy by the rest. */
export function testMessage(i, size) {
  const message = Buffer.alloc(size)
  for (let j = 0; j < size; j++) message[j] = i * 7 + j
  if (size >= 4) message.writeUInt32BE(i)
  return message
}

/** Count, bytes and hash of messages in their order. */
export function tally(messages) {
  const hash = createHash('sha256')
  const length = Buffer.alloc(4)
  let count = 0
  let bytes = 0
  for (const message of messages) {
    length.writeUInt32BE(message.length)
    hash.update(length).update(message)
    bytes += message.length
    count++
  }
  return { count, bytes, sha256: hash.digest('hex') }
}

/** The tally of a whole `send`, made without keeping its messages. */
export function tallyOf(count, size) {
  return tally(
    (function* () {
      for (let i = 0; i < count; i++) yield testMessage(i, size)
    })()
  )
}

/** Accepted messages of each peer, until somebody expects them. */
export class Inboxes {
  #boxes = new Map()
  #waiting = new Set()

  add(peerId, message) {
    const box = this.#boxes.get(peerId)
    if (box === undefined) this.#boxes.set(peerId, [message])
    else box.push(message)
    this.#serve()
  }

  /** Takes `count` messages of that peer when they are there. @throws when it leaves before */
  async take(peerId, count) {
    return new Promise((resolve, reject) => {
      this.#waiting.add({ peerId, count, resolve, reject })
      this.#serve()
    })
  }

  /** The peer has gone: what was expected of it does not come any more. */
  gone(peerId) {
    for (const waiting of this.#waiting) {
      if (waiting.peerId !== peerId) continue
      this.#waiting.delete(waiting)
      waiting.reject(new Error('the connection ended before the messages came'))
    }
  }

  #serve() {
    for (const waiting of this.#waiting) {
      const box = this.#boxes.get(waiting.peerId) ?? []
      if (box.length < waiting.count) continue
      this.#waiting.delete(waiting)
      waiting.resolve(tally(box.splice(0, waiting.count)))
    }
  }
}
