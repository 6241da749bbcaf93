/** Messages and acks on a plain socket, as cheaply as Node can: what TCP and TLS allow when nothing else is done. */
import { once } from 'node:events'

/** A message is a length of 4 bytes and so many more; an ack is one byte. */
const PREFIX_BYTES = 4
/** Messages up to this size are copied together for one write. */
const GATHER_BYTES = 16 * 1024

/** Reads every message of a socket and acks all that a read completed in one write. */
export function serve(socket, received) {
  socket.setNoDelay(true)
  let acks = 0
  const take = messageReader(message => {
    acks++
    received(message)
  })
  socket.on('data', chunk => {
    take(chunk)
    if (acks > 0) socket.write(Buffer.alloc(acks))
    acks = 0
  })
}

/** Listens on a free port. */
export async function listening(server) {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server.address().port
}

/** Sends a load on a connected socket. */
export async function drive(socket, size, load) {
  const prefix = Buffer.alloc(PREFIX_BYTES)
  prefix.writeUInt32LE(size)
  const pump = () => {
    const parts = []
    for (let message = load.next(); message !== undefined; message = load.next()) parts.push(prefix, message)
    if (size <= GATHER_BYTES) socket.write(Buffer.concat(parts))
    else {
      socket.cork()
      for (const part of parts) socket.write(part)
      socket.uncork()
    }
  }
  await new Promise((resolve, reject) => {
    const lost = () => reject(new Error('the connection was lost'))
    const onData = acks => {
      for (let i = 0; i < acks.length; i++) load.settled()
      pump()
      if (!load.done) return
      socket.off('data', onData)
      socket.off('close', lost)
      resolve()
    }
    socket.on('data', onData)
    socket.on('close', lost)
    pump()
  })
}

/** Cuts chunks into messages; one that lies in several chunks is gathered in a buffer of its own. */
function messageReader(received) {
  const prefix = Buffer.alloc(PREFIX_BYTES)
  let have = 0
  let message
  let filled = 0
  return chunk => {
    for (let at = 0; at < chunk.length;) {
      if (have < PREFIX_BYTES) {
        const copied = chunk.copy(prefix, have, at)
        have += copied
        at += copied
        if (have < PREFIX_BYTES) return
        message = undefined
        filled = 0
      }
      const length = prefix.readUInt32LE()
      if (message === undefined && chunk.length - at >= length) {
        have = 0
        received(chunk.subarray(at, at + length))
        at += length
        continue
      }
      message ??= Buffer.allocUnsafeSlow(length)
      const copied = chunk.copy(message, filled, at)
      at += copied
      filled += copied
      if (filled < length) return
      have = 0
      received(message)
    }
  }
}
