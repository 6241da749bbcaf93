/**
 * The peers' side of the contract with the runner: one JSON object a line, commands in, answers out. Every command is
 * carried out on its own, so one that waits holds up none behind it.
 */
import { createInterface } from 'node:readline'

/** `--name value` of the command line. */
export function option(name) {
  const at = process.argv.indexOf(`--${name}`)
  return at < 0 ? undefined : process.argv[at + 1]
}

/** Says that the peer is ready, and serves `commands` until standard input ends or somebody says `quit`. */
export async function serve(ready, commands, quit) {
  say({ event: 'ready', ...ready })
  for await (const line of createInterface({ input: process.stdin })) {
    const { id, command, ...fields } = JSON.parse(line)
    if (command === 'quit') {
      say({ id, ok: true })
      break
    }
    void carryOut(commands, command, fields).then(answer => say({ id, ...answer }))
  }
  await quit()
  process.stdout.write('', () => process.exit(0))
}

async function carryOut(commands, command, fields) {
  try {
    if (!Object.hasOwn(commands, command)) throw new Error(`there is no command ${command}`)
    return { ok: true, ...(await commands[command](fields)) }
  } catch (err) {
    return { ok: false, error: `${err.code ?? err.name}: ${err.message}` }
  }
}

function say(line) {
  process.stdout.write(JSON.stringify(line) + '\n')
}
