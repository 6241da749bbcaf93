#!/usr/bin/env node
import { Interrupted } from './crew.ts'
import { COMMANDS, HELP, parse, UsageError, version } from './usage.ts'

/** Exit codes: docs in `HELP`. */
const FAILED = 1
const MISUSED = 2

/** Each command is loaded when it is wanted, and loads the network stack when it needs it: nobody waits for `--help`. */
async function run([command = '', ...args]: string[]): Promise<void> {
  switch (command) {
    case 'demo':
      return (await import('./demo.ts')).demo(args)
    case 'keygen':
      return (await import('./keys.ts')).keygen(args)
    case 'peer-id':
      return (await import('./keys.ts')).peerId(args)
    case 'internal:participant':
      if (process.send !== undefined) return (await import('./participant.ts')).participate()
      break
    case '--':
      // Of options there were none: what follows is the command.
      return run(args)
    case '':
      throw new UsageError(`a command is missing, wanted ${COMMANDS}`)
  }
  if (!command.startsWith('-')) throw new UsageError(`unknown command '${command}', wanted ${COMMANDS}`)
  const { values } = parse('', [command, ...args], { version: { type: 'boolean', short: 'V' } })
  process.stdout.write(values.help === true ? HELP[''] : `${version()}\n`)
}

try {
  await run(process.argv.slice(2))
} catch (err) {
  // Everything has been cleared away by now; the default action of the signal is what a shell expects to see.
  if (err instanceof Interrupted) process.kill(process.pid, err.signal)
  else complain(err)
}

function complain(err: unknown): void {
  const misused = err instanceof UsageError
  const text = err instanceof Error ? err.message : String(err)
  const hint = misused ? `\nTry 'bitvmx-p2p${err.command} --help'.` : ''
  process.stderr.write(`bitvmx-p2p: ${text}${hint}\n`)
  process.exitCode = misused ? MISUSED : FAILED
}
