// A TCP socket as promises: what a byte-level peer writes and reads.
import { createConnection } from 'node:net'

export class Wire {
  /** @param {import('node:net').Socket} socket */
  constructor(socket) {
    this.socket = socket
    this.chunks = []
    this.length = 0
    /** Bytes that came in, in all. */
    this.received = 0
    this.waiting = undefined
    this.error = undefined
    /** The other side has ended its writing. */
    this.finished = false
    socket.on('data', chunk => {
      this.received += chunk.length
      this.chunks.push(chunk)
      this.length += chunk.length
      this.waiting?.()
    })
    socket.on('error', err => (this.error = err))
    /** Settles when the connection is gone: 'end' in an orderly way, or the code of the error. */
    this.closed = new Promise(resolve => {
      socket.once('close', () => {
        this.ended = this.error?.code ?? 'end'
        this.waiting?.()
        resolve(this.ended)
      })
    })
    socket.on('end', () => {
      this.finished = true
      this.waiting?.()
    })
  }

  /** Connects from an address of this machine. */
  static async connect({ port, from = '127.0.0.1', host = '127.0.0.1' }) {
    const socket = createConnection({ port, host, localAddress: from, noDelay: true })
    const wire = new Wire(socket)
    await new Promise((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    return wire
  }

  get open() {
    return !this.socket.destroyed && !this.finished
  }

  /** Writes; settles when the bytes have been handed to the system, or the connection is gone. */
  async send(bytes) {
    if (this.socket.destroyed) return
    await new Promise(resolve => {
      this.socket.write(bytes, () => resolve())
      void this.closed.then(resolve)
    })
  }

  /** The next `count` bytes. @throws when the connection ends before they are here */
  async read(count) {
    while (this.length < count) {
      if (!this.open) throw new Error(`connection ended (${this.ended ?? 'end'})`)
      await new Promise(resolve => (this.waiting = resolve))
    }
    const all = Buffer.concat(this.chunks)
    this.chunks = [all.subarray(count)]
    this.length = all.length - count
    return all.subarray(0, count)
  }

  /** Says goodbye in an orderly way. */
  end() {
    this.socket.end()
  }

  /** Goes without goodbye: the other side reads ECONNRESET. */
  reset() {
    this.socket.resetAndDestroy()
  }
}
