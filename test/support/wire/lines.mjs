// multistream-select, by hand.
export const MULTISTREAM = '/multistream/1.0.0'
export const NOISE = '/noise'
export const YAMUX = '/yamux/1.0.0'
export const COMMS = '/bitvmx/comms/1.0.0'

/** The minimal unsigned varint. */
export function varint(value) {
  const bytes = []
  while (value >= 0x80) {
    bytes.push((value & 0x7f) | 0x80)
    value = Math.floor(value / 128)
  }
  return Buffer.from([...bytes, value])
}

/** Length-prefixed bytes: a message frame, a protobuf field's value, a line. */
export function prefixed(bytes) {
  return Buffer.concat([varint(bytes.length), bytes])
}

/** Lines of a negotiation. */
export function lines(...texts) {
  return Buffer.concat(texts.map(text => prefixed(Buffer.from(`${text}\n`))))
}

/** Reads one line from anything with `read(count)`. */
export async function readLine(source) {
  let length = 0
  for (let shift = 0; ; shift += 7) {
    const [byte] = await source.read(1)
    length += (byte & 0x7f) * 2 ** shift
    if (byte < 0x80) break
  }
  return (await source.read(length)).toString().replace(/\n$/, '')
}

/** Proposes a protocol and reads the answer. @throws when the answer is another */
export async function propose(target, protocol) {
  await target.send(lines(MULTISTREAM, protocol))
  await expectLine(target, MULTISTREAM)
  await expectLine(target, protocol)
}

/** Answers a proposal. */
export async function accept(target, protocol) {
  await expectLine(target, MULTISTREAM)
  await expectLine(target, protocol)
  await target.send(lines(MULTISTREAM, protocol))
}

async function expectLine(source, wanted) {
  const line = await readLine(source)
  if (line !== wanted) throw new Error(`negotiation: ${line}, wanted ${wanted}`)
}
