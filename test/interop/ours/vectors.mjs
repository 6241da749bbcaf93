/** Checks test/fixtures/vectors.json with the built module: what test/unit/vectors.test.ts does with its sources. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { AckDecoder, FrameDecoder, prefixBytes, readPrefix } from '../../../dist/framing/index.js'
import { parseAllowList, peerIdFromPrivateKey, publicKeyHash } from '../../../dist/index.js'
import { faultOf } from '../../fixtures/faults.mjs'

/** Prints what does not hold, and then how many do. Returns the exit code. */
export function checkVectors(file) {
  const { frames, acks, keys, allowLists } = JSON.parse(readFileSync(file, 'utf8'))
  const checks = [
    ...frames.map(({ name, hex, limit, messages, fault }) => [
      name,
      readFrames(hex, limit),
      [messages, fault]
    ]),
    ...acks.map(({ name, hex, statuses, fault }) => [name, readAcks(hex), [statuses, fault]]),
    ...keys.map(({ type, privateKeyHex, peerId, keyHash }) => [
      type,
      [peerIdFromPrivateKey(privateKeyHex), publicKeyHash(privateKeyHex)],
      [peerId, keyHash]
    ]),
    ...allowLists.map(({ name, yaml, entries, error }) => [name, readList(yaml), entries ?? error])
  ]
  const broken = checks.filter(([, found, should]) => JSON.stringify(found) !== JSON.stringify(should))
  for (const [name, found] of broken) console.error(`${name}: found ${JSON.stringify(found)}`)
  console.log(`${checks.length - broken.length} of ${checks.length} vectors hold`)
  return broken.length === 0 ? 0 : 1
}

function readFrames(hex, limit) {
  const messages = []
  const decoder = new FrameDecoder(limit, ({ parts, count }) => {
    let left = Buffer.concat(parts)
    for (let i = 0; i < count; i++) {
      const length = readPrefix(left, 0, left.length)
      const taken = prefixBytes(length)
      messages.push(describe(left.subarray(taken, taken + length)))
      left = left.subarray(taken + length)
    }
  })
  for (const byte of Buffer.from(hex, 'hex')) decoder.push(Uint8Array.of(byte))
  const end = decoder.end()
  return [messages, end?.kind === 'too-large' ? 'too-large' : faultOf(end?.reason)]
}

function describe(message) {
  if (message.length <= 127) return message.toString('hex')
  return { length: message.length, sha256: createHash('sha256').update(message).digest('hex') }
}

function readAcks(hex) {
  const statuses = []
  const decoder = new AckDecoder((status, count) => {
    for (let i = 0; i < count; i++) statuses.push(status)
    return true
  })
  for (const byte of Buffer.from(hex, 'hex')) decoder.push(Uint8Array.of(byte))
  return [statuses, faultOf(decoder.end())]
}

function readList(yaml) {
  try {
    return parseAllowList(yaml)
  } catch (err) {
    return err.code
  }
}
