// A DNS server on loopback that tests can rely on: what it knows, denies, or leaves unanswered is for them to say.
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { isIPv4 } from 'node:net'

const TYPES = { 1: 4, 28: 6 }

/**
 * @param answer the addresses of a name in this family (4 or 6; 0 for other questions); 'no': there is no such name;
 * undefined: silence
 */
export async function startDnsServer(answer, port = 0) {
  const asked = []
  const socket = createSocket('udp4')
  socket.on('message', (query, { address, port: from }) => {
    const { name, type, end } = question(query)
    asked.push(name)
    const found = answer(name, TYPES[type] ?? 0)
    if (found === undefined) return
    const answers = found === 'no' ? [] : found
    const header = Buffer.alloc(12)
    query.copy(header, 0, 0, 2)
    header.writeUInt16BE(0x8180 | (found === 'no' ? 3 : 0), 2)
    header.writeUInt16BE(1, 4)
    header.writeUInt16BE(answers.length, 6)
    socket.send([header, query.subarray(12, end), ...answers.map(record)], from, address)
  })
  socket.bind(port, '127.0.0.1')
  await once(socket, 'listening')
  socket.unref()
  return {
    address: `127.0.0.1:${socket.address().port}`,
    /** Names, as often as they were asked for. */
    asked,
    close: () => socket.close()
  }
}

function question(query) {
  const labels = []
  let at = 12
  for (let length; (length = query[at++]) > 0; at += length) {
    labels.push(query.toString('latin1', at, at + length))
  }
  return { name: labels.join('.').toLowerCase(), type: query.readUInt16BE(at), end: at + 4 }
}

function record(ip) {
  const data = Buffer.from(isIPv4(ip) ? ip.split('.').map(Number) : ipv6Bytes(ip))
  const head = Buffer.alloc(12)
  head.writeUInt16BE(0xc00c, 0)
  head.writeUInt16BE(isIPv4(ip) ? 1 : 28, 2)
  head.writeUInt16BE(1, 4)
  head.writeUInt32BE(60, 6)
  head.writeUInt16BE(data.length, 10)
  return Buffer.concat([head, data])
}

/** Of an address whose zeros are left out at one place. */
function ipv6Bytes(ip) {
  const [head, tail] = ip.split('::').map(part => (part === '' ? [] : part.split(':')))
  const groups = [...head, ...Array.from({ length: 8 - head.length - tail.length }, () => '0'), ...tail]
  return groups.flatMap(group => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 255])
}
