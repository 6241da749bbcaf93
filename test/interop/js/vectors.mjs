/** Checks test/fixtures/vectors.json with this peer's own code. */
import { createHash, ECDH } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { privateKeyFromProtobuf, publicKeyToProtobuf } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { AckDecoder, frame, MessageDecoder } from './frames.mjs'

/** What stands in DER before the bytes of such a public key. RSA keys carry it in their libp2p form already. */
const DER_PREFIX = {
  Ed25519: '302a300506032b6570032100',
  secp256k1: '3056301006072a8648ce3d020106052b8104000a034200',
  RSA: ''
}

/** Prints what does not hold, and then how many do. Returns the exit code. */
export function checkVectors(file) {
  const { frames, acks, keys } = JSON.parse(readFileSync(file, 'utf8'))
  const checks = [
    ...frames.map(vector => ({ vector, found: readFrames(vector), should: [vector.messages, vector.fault] })),
    ...acks.map(vector => ({ vector, found: readAcks(vector), should: [vector.statuses, vector.fault] })),
    ...keys.map(vector => ({
      vector,
      found: readKey(vector),
      should: [vector.publicKeyHex, vector.peerId, vector.keyHash]
    }))
  ]
  const broken = checks.filter(({ found, should }) => JSON.stringify(found) !== JSON.stringify(should))
  for (const { vector, found } of broken)
    console.error(`${vector.name ?? vector.type}: found ${JSON.stringify(found)}`)
  console.log(`${checks.length - broken.length} of ${checks.length} vectors hold`)
  return broken.length === 0 ? 0 : 1
}

/** Everything that a decoder finds in these bytes, and what is wrong with them; whole, and byte by byte. */
function decode(makeDecoder, hex) {
  const bytes = Buffer.from(hex, 'hex')
  const readings = [[bytes], Array.from(bytes, byte => Uint8Array.of(byte))].map(pieces => {
    const decoder = makeDecoder()
    const found = []
    try {
      for (const piece of pieces) for (const item of decoder.push(piece)) found.push(item)
      decoder.end()
      return { found, fault: null }
    } catch (err) {
      return { found, fault: err.fault }
    }
  })
  const [whole, piecemeal] = readings
  if (JSON.stringify(whole) !== JSON.stringify(piecemeal)) throw new Error(`${hex} read in pieces differs`)
  return whole
}

function readFrames({ hex, limit, fault }) {
  const { found, fault: actual } = decode(() => new MessageDecoder(limit), hex)
  // And back: what is right is written in one way only.
  const written = Buffer.concat(found.map(frame)).toString('hex')
  if (fault === null && written !== hex) return [`written as ${written}`, actual]
  return [found.map(describe), actual]
}

/** As the file names messages. */
function describe(message) {
  if (message.length <= 127) return Buffer.from(message).toString('hex')
  return { length: message.length, sha256: createHash('sha256').update(message).digest('hex') }
}

function readAcks({ hex }) {
  const { found, fault } = decode(() => new AckDecoder(), hex)
  return [found, fault]
}

function readKey({ type, privateKeyHex }) {
  const key = privateKeyFromProtobuf(Buffer.from(privateKeyHex, 'hex'))
  const { raw } = key.publicKey
  const point =
    type === 'secp256k1' ? ECDH.convertKey(raw, 'secp256k1', undefined, undefined, 'uncompressed') : raw
  const der = Buffer.concat([Buffer.from(DER_PREFIX[type], 'hex'), point])
  return [
    Buffer.from(publicKeyToProtobuf(key.publicKey)).toString('hex'),
    peerIdFromPrivateKey(key).toString(),
    createHash('sha256').update(der).digest('hex')
  ]
}
