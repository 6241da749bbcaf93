/** Bytes outside of the protocol's rules, on a stream of the protocol. */

/** How long a stream that is left alone is watched. */
const WATCH_MS = 1_000

/** Writes these bytes, ends the stream or does not, and tells what came back and how it ended. */
export async function raw(stream, connection, { hex, end }) {
  const read = []
  stream.addEventListener('message', ({ data }) => read.push(Buffer.from(data.subarray())))
  const ended = new Promise(resolve => {
    // The remote's orderly end, and everything else.
    stream.addEventListener('end', () => stream.status === 'open' && resolve('closed'))
    stream.addEventListener('close', () => resolve(stream.status === 'reset' ? 'reset' : 'closed'))
    connection.addEventListener('close', () => resolve('connection'))
  })
  if (hex !== '') stream.send(Buffer.from(hex, 'hex'))
  if (end === 'reset') {
    stream.abort(new Error('reset on purpose'))
    return { read: '', ended: 'reset' }
  }
  if (end === 'close') await stream.close().catch(() => {})
  let timer
  const watched = new Promise(resolve => (timer = setTimeout(resolve, WATCH_MS, 'open')))
  const how = await (end === 'leave' ? Promise.race([ended, watched]) : ended)
  clearTimeout(timer)
  return {
    read: Buffer.concat(read).toString('hex'),
    ended: connection.status === 'open' ? how : 'connection'
  }
}
