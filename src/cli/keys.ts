import { closeSync, openSync, readSync } from 'node:fs'
import type { KeyType, PrivateKeyInput } from '../identity/index.ts'
import { HELP, parse, UsageError } from './usage.ts'

const KEY_TYPES: readonly KeyType[] = ['Ed25519', 'secp256k1', 'RSA']
/** No private key in any form is longer. */
const MAX_KEY_FILE_BYTES = 65_536
/** First byte of a private key in protobuf; no text begins with it. Source: libp2p peer ID specification */
const PROTOBUF_TAG = 0x08

/** `bitvmx-p2p keygen` */
export async function keygen(args: string[]): Promise<void> {
  const { values, positionals } = parse('keygen', args, { type: { type: 'string', short: 't' } })
  if (values.help === true) return void process.stdout.write(HELP.keygen)
  if (positionals.length > 0) throw new UsageError(`unexpected argument '${positionals[0]}'`, 'keygen')
  const wanted = values.type ?? 'Ed25519'
  const type = KEY_TYPES.find(one => one.toLowerCase() === wanted.toLowerCase())
  if (type === undefined) {
    throw new UsageError(`--type is '${wanted}', wanted ${KEY_TYPES.join(', ')}`, 'keygen')
  }
  const { generatePrivateKey } = await import('../index.ts')
  const key = await generatePrivateKey(type)
  process.stderr.write(await names(key))
  process.stdout.write(`${Buffer.from(key).toString('hex')}\n`)
}

/** `bitvmx-p2p peer-id` */
export async function peerId(args: string[]): Promise<void> {
  const { values, positionals } = parse('peer-id', args, {})
  if (values.help === true) return void process.stdout.write(HELP['peer-id'])
  const [path] = positionals
  if (path === undefined || positionals.length > 1) {
    throw new UsageError(`${positionals.length} files named, wanted one KEYFILE`, 'peer-id')
  }
  const bytes = readKeyFile(path)
  process.stdout.write(await names(bytes[0] === PROTOBUF_TAG ? bytes : bytes.toString('utf8')))
}

async function names(key: PrivateKeyInput): Promise<string> {
  const { peerIdFromPrivateKey, publicKeyHash } = await import('../index.ts')
  return `peer ID   ${peerIdFromPrivateKey(key)}\nkey hash  ${publicKeyHash(key)}\n`
}

/** The file, read up to the size of the longest key: it may be a pipe, or endless. */
function readKeyFile(path: string): Buffer {
  const buffer = Buffer.alloc(MAX_KEY_FILE_BYTES + 1)
  let length = 0
  try {
    const fd = openSync(path, 'r')
    try {
      let read = -1
      while (read !== 0 && length < buffer.length) {
        read = readSync(fd, buffer, length, buffer.length - length, null)
        length += read
      }
    } finally {
      closeSync(fd)
    }
  } catch (err) {
    throw new Error(`cannot read ${path}: ${(err as Error).message}`, { cause: err })
  }
  return buffer.subarray(0, length)
}
