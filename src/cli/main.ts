#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { parse, UsageError } from './usage.ts'

/** Exit codes, as told in `HELP`. */
const FAILED = 1
const MISUSED = 2

const HELP = `Acknowledged, authenticated peer-to-peer messages for BitVMX nodes.

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
`

const COMMANDS = "'demo', 'keygen' or 'peer-id'"

/** Each command is loaded when it is wanted, and loads the library when it needs it: nobody waits for `--help`. */
async function run([command = '', ...args]: string[]): Promise<void> {
  switch (command) {
    case 'demo':
      return (await import('./demo.ts')).demo(args)
    case 'keygen':
      return (await import('./keys.ts')).keygen(args)
    case 'peer-id':
      return (await import('./keys.ts')).peerId(args)
    case '--':
      // Of options there were none: what follows is the command.
      return run(args)
    case '':
      throw new UsageError(`a command is missing, wanted ${COMMANDS}`)
  }
  if (!command.startsWith('-')) throw new UsageError(`unknown command '${command}', wanted ${COMMANDS}`)
  const { values } = parse('', [command, ...args], { version: { type: 'boolean', short: 'V' } })
  process.stdout.write(values.help === true ? HELP : `${version()}\n`)
}

function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}

function complain(err: unknown): void {
  const misused = err instanceof UsageError
  const text = err instanceof Error ? err.message : String(err)
  const hint = misused ? `\nTry '${['bitvmx-p2p', err.command, '--help'].filter(Boolean).join(' ')}'.` : ''
  process.stderr.write(`bitvmx-p2p: ${text}${hint}\n`)
  process.exitCode = misused ? MISUSED : FAILED
}

try {
  await run(process.argv.slice(2))
} catch (err) {
  complain(err)
}
