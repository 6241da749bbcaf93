// yamux frames (hashicorp/yamux, spec.md), by hand.
export const Type = { data: 0, windowUpdate: 1, ping: 2, goAway: 3 }
export const Flag = { syn: 1, ack: 2, fin: 4, rst: 8 }
export const WINDOW = 256 * 1024

/** A frame; `length` is the announced one, whatever follows. */
export function frame({ version = 0, type, flags = 0, stream = 0, length, body = Buffer.alloc(0) }) {
  const header = Buffer.alloc(12)
  header[0] = version
  header[1] = type
  header.writeUInt16BE(flags, 2)
  header.writeUInt32BE(stream, 4)
  header.writeUInt32BE(length ?? body.length, 8)
  return Buffer.concat([header, body])
}

/** Collects bytes and hands on whole frames. */
export class FrameReader {
  constructor(take) {
    this.take = take
    this.held = Buffer.alloc(0)
  }

  push(bytes) {
    this.held = this.held.length === 0 ? bytes : Buffer.concat([this.held, bytes])
    while (this.held.length >= 12) {
      const type = this.held[1]
      const length = this.held.readUInt32BE(8)
      const size = 12 + (type === Type.data ? length : 0)
      if (this.held.length < size) return
      const taken = {
        type,
        flags: this.held.readUInt16BE(2),
        stream: this.held.readUInt32BE(4),
        length,
        body: this.held.subarray(12, size)
      }
      this.held = this.held.subarray(size)
      this.take(taken)
    }
  }
}
