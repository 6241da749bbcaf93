import { Crew } from './crew.ts'
import { openFile } from './file.ts'
import { Screen } from './screen.ts'
import { DEFAULT_VERIFIERS, HELP, MAX_VERIFIERS, parse, UsageError } from './usage.ts'

/** `bitvmx-p2p demo` */
export async function demo(args: string[]): Promise<void> {
  const { values, positionals } = parse('demo', args, { verifiers: { type: 'string', short: 'n' } })
  if (values.help === true) return void process.stdout.write(HELP.demo)
  const [path, ...more] = positionals
  if (more.length > 0) throw new UsageError(`unexpected argument '${more[0]}': one FILE at most`, 'demo')
  if (path !== undefined && values.verifiers !== undefined) {
    throw new UsageError('--verifiers is for the setup; a FILE goes from one process to one other', 'demo')
  }
  const verifiers = count(values.verifiers)
  const file = path === undefined ? undefined : openFile(path)

  const screen = new Screen(process.stdout)
  const crew = new Crew()
  try {
    if (file === undefined) await (await import('./setup-demo.ts')).demoSetup(crew, screen, verifiers)
    else await (await import('./file-demo.ts')).demoFile(crew, screen, file)
  } finally {
    screen.close()
    await crew.dismiss()
  }
}

function count(text: string = String(DEFAULT_VERIFIERS)): number {
  const number = /^\d{1,9}$/.test(text) ? Number(text) : 0
  if (number >= 1 && number <= MAX_VERIFIERS) return number
  throw new UsageError(`--verifiers is '${text}', wanted a whole number from 1 to ${MAX_VERIFIERS}`, 'demo')
}
