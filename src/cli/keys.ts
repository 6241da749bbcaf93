import { closeSync, openSync, readSync } from 'node:fs'
import type { KeyType, PrivateKeyInput } from '../index.ts'
import { MAX_KEY_FILE_BYTES } from './limits.ts'
import { parse, UsageError } from './usage.ts'

const KEY_TYPES: readonly KeyType[] = ['Ed25519', 'secp256k1', 'RSA']
/** First byte of a private key in protobuf; no text begins with it. Source: libp2p peer ID specification */
const PROTOBUF_TAG = 0x08

const KEYGEN_HELP = `Makes a private key. The key goes to the standard output, in hex, as P2p.start takes it; its peer ID and its
key hash (BitVMX's own name for a node) go to the standard error, so that both can be seen when the key is
kept in a file.

Usage
  bitvmx-p2p keygen [--type TYPE]

Options
  -t, --type TYPE  Ed25519, secp256k1 or RSA; default Ed25519
  -h, --help

Examples
  bitvmx-p2p keygen
  (umask 077; bitvmx-p2p keygen > node.key)     a file that only its owner can read
  bitvmx-p2p keygen --type RSA

Exit codes
  0  it worked
  2  the command line was not understood
`

const PEER_ID_HELP = `Prints the peer ID and the key hash of a private key: the two names under which an allow list can admit it.

Usage
  bitvmx-p2p peer-id KEYFILE

KEYFILE holds the key as hex (see keygen), as PEM, or as libp2p protobuf bytes.

Examples
  bitvmx-p2p peer-id node.key
  openssl genpkey -algorithm ed25519 | bitvmx-p2p peer-id /dev/stdin

Exit codes
  0  it worked
  1  KEYFILE cannot be read, or holds no private key
  2  the command line was not understood
`

/** `bitvmx-p2p keygen` */
export async function keygen(args: string[]): Promise<void> {
  const { values, positionals } = parse('keygen', args, { type: { type: 'string', short: 't' } })
  if (values.help === true) return void process.stdout.write(KEYGEN_HELP)
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
  if (values.help === true) return void process.stdout.write(PEER_ID_HELP)
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
