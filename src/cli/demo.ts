import { MAX_VERIFIERS } from './limits.ts'
import { parse, UsageError } from './usage.ts'

const DEFAULT_VERIFIERS = 3

const HELP = `Shows the module at work between processes of this machine. Nothing leaves it, nothing is kept.

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
`

/** `bitvmx-p2p demo` */
export async function demo(args: string[]): Promise<void> {
  const { values, positionals } = parse('demo', args, { verifiers: { type: 'string', short: 'n' } })
  if (values.help === true) return void process.stdout.write(HELP)
  const [path, ...more] = positionals
  if (more.length > 0) throw new UsageError(`unexpected argument '${more[0]}': one FILE at most`, 'demo')
  if (path !== undefined && values.verifiers !== undefined) {
    throw new UsageError('--verifiers is for the setup; a FILE goes from one process to one other', 'demo')
  }
  const verifiers = count(values.verifiers)
  const { inspectFile, Interrupted, runDemo } = await import('../demo/index.ts')
  try {
    await runDemo(path === undefined ? { verifiers } : { file: inspectFile(path) })
  } catch (err) {
    if (!(err instanceof Interrupted)) throw err
    // Everything has been cleared away by now; the default action of the signal is what a shell expects to see.
    process.kill(process.pid, err.signal)
  }
}

function count(text = String(DEFAULT_VERIFIERS)): number {
  const number = /^\d{1,9}$/.test(text) ? Number(text) : 0
  if (number >= 1 && number <= MAX_VERIFIERS) return number
  throw new UsageError(`--verifiers is '${text}', wanted a whole number from 1 to ${MAX_VERIFIERS}`, 'demo')
}
