import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import type { ParseArgsConfig } from 'node:util'

/** The command line is not one that this program understands: exit code 2. */
export class UsageError extends Error {
  /** The command with a space before it, or nothing: for a hint at its help. */
  readonly command: string

  constructor(message: string, command: CommandName = '') {
    super(command === '' ? message : `${command}: ${message}`)
    this.command = command === '' ? '' : ` ${command}`
  }
}

export type CommandName = '' | 'demo' | 'keygen' | 'peer-id'

export const COMMANDS = "'demo', 'keygen' or 'peer-id'"

/** Most verifiers the demo starts: each is a process with a network thread of its own. */
export const MAX_VERIFIERS = 16
export const DEFAULT_VERIFIERS = 3

export const HELP: Record<CommandName, string> = {
  '': `Acknowledged, authenticated peer-to-peer messages for BitVMX nodes.

Usage
  bitvmx-p2p demo [--verifiers N] [FILE]   see it work, on this machine alone
  bitvmx-p2p keygen [--type TYPE]          make a private key
  bitvmx-p2p peer-id KEYFILE               what a private key is called
  bitvmx-p2p COMMAND --help                more about a command
  bitvmx-p2p --version

Exit codes
  0  it worked
  1  it did not; one message on the standard error says why
  2  the command line was not understood
`,
  demo: `Shows the module at work between processes of this machine. Nothing leaves it, nothing is kept.

Usage
  bitvmx-p2p demo [--verifiers N]
  bitvmx-p2p demo FILE

Without FILE: an operator and its verifiers, each a process with its own key and its own allow list, exchange
the messages of a BitVMX program setup: keys, public nonces, partial signatures, in the sizes of a real one,
every message acknowledged. In the end somebody who is on nobody's list knocks.

With FILE: one process sends the file to another in messages of at most 1 MiB. The receiver checks size and
SHA-256 and writes nothing.

Options
  -n, --verifiers N  how many verifiers, 1 to ${MAX_VERIFIERS}; default ${DEFAULT_VERIFIERS}
  -h, --help

Examples
  bitvmx-p2p demo
  bitvmx-p2p demo --verifiers 8
  bitvmx-p2p demo backup.tar
  NO_COLOR=1 bitvmx-p2p demo         without colours
  npm run demo -- --verifiers 8      in a copy of the repository

Exit codes
  0  every message arrived, and the stranger stayed outside
  1  it did not work; one message on the standard error says why
  2  the command line was not understood
`,
  keygen: `Makes a private key. The key goes to the standard output, in hex, as P2p.start takes it; its peer ID and its
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
`,
  'peer-id': `Prints the peer ID and the key hash of a private key: the two names under which an allow list can admit it.

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
}

/** Arguments of a command; every command has `--help`. @throws UsageError */
export function parse<const T extends NonNullable<ParseArgsConfig['options']>>(
  command: CommandName,
  args: string[],
  options: T
): ReturnType<typeof parseArgs<{ options: T & typeof HELP_OPTION; allowPositionals: true; args: string[] }>> {
  try {
    return parseArgs({ args, options: { ...options, ...HELP_OPTION }, allowPositionals: true })
  } catch (err) {
    // Only the first sentence: the rest of parseArgs' advice is about its own API.
    const [sentence = ''] = (err as Error).message.split('. ')
    throw new UsageError(sentence, command)
  }
}

const HELP_OPTION = { help: { type: 'boolean', short: 'h' } } as const

/** The version of this package. */
export function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}
