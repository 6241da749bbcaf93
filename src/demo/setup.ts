import { styleText } from 'node:util'
import type { KeyType } from '../index.ts'
import { bytes, duration, portOf, printable, rate, short } from './format.ts'
import type { PhaseProgress, Refusal } from './operator.ts'
import { MESSAGES_PER_VERIFIER, PHASES } from './phases.ts'
import type { ProcessGroup } from './process-group.ts'
import { allowListOf, connect, createKey, listen, roster, spawn } from './roster.ts'
import type { Participant } from './roster.ts'
import type { Row, Screen } from './screen.ts'
import { printTallies } from './tally.ts'

/** Every kind of key takes part. */
const VERIFIER_KEYS: readonly KeyType[] = ['Ed25519', 'secp256k1', 'RSA']
/** Lines shown of the operator's allow list. */
const SHOWN_LINES = 3
const BAR_CELLS = 16
const NAME_WIDTH = Math.max(...PHASES.map(({ name }) => name.length))

interface Cast {
  operator: Participant
  verifiers: Participant[]
  stranger: Participant
}

/** A program setup between an operator and verifiers, and a stranger at the door. */
export async function runSetup(group: ProcessGroup, screen: Screen, count: number): Promise<void> {
  const begin = performance.now()
  screen.line(`${styleText('bold', 'bitvmx-p2p')}  a BitVMX program setup, on this machine alone`)
  screen.line(styleText('dim', 'Every participant is a process of its own. It makes its key and keeps it.'))

  const cast = {
    operator: spawn(group, 'operator', 'RSA'),
    verifiers: Array.from({ length: count }, (_, i) =>
      spawn(group, `verifier ${i + 1}`, VERIFIER_KEYS[i % VERIFIER_KEYS.length]!)
    ),
    stranger: spawn(group, 'stranger', 'Ed25519')
  }
  await assemble(group, screen, cast)
  const result = await exchange(group, screen, cast)
  await turnAway(group, screen, cast)
  await group.stop()

  const took = duration(performance.now() - begin)
  const done = styleText('green', 'Done')
  screen.line(`\n${done} in ${took}: ${result}, every message acknowledged.`)
  screen.line(styleText('dim', "Next: 'demo FILE' sends a file of yours; 'demo --help' tells more."))
}

/** All make a key and listen, each with an allow list of its own; then the verifiers dial the operator. */
async function assemble(group: ProcessGroup, screen: Screen, cast: Cast): Promise<void> {
  const { operator, verifiers, stranger } = cast
  const shown = [operator, ...verifiers]
  screen.heading('Participants, all on 127.0.0.1')
  screen.live(() => roster(screen, shown))
  await Promise.all([...shown, stranger].map(async one => createKey(group, one)))
  await Promise.all([
    listen(group, operator, verifiers),
    ...[...verifiers, stranger].map(async one => listen(group, one, [operator]))
  ])
  Object.assign(operator, { state: 'ready', note: 'leads' })
  screen.update()
  await Promise.all(
    verifiers.map(async verifier => {
      await connect(group, verifier, operator)
      screen.update()
    })
  )
  screen.close()

  screen.heading("The operator's allow list, as YAML; each verifier's names the operator alone")
  const lines = allowListOf(verifiers).trimEnd().split('\n')
  for (const line of lines.slice(0, SHOWN_LINES)) screen.line(`    ${line}`)
  if (lines.length > SHOWN_LINES)
    screen.line(styleText('dim', `    … and ${lines.length - SHOWN_LINES} more`))
}

/** The three phases. What was done, in words. */
async function exchange(group: ProcessGroup, screen: Screen, { operator, verifiers }: Cast): Promise<string> {
  const expected = MESSAGES_PER_VERIFIER * verifiers.length
  let phases = PHASES.map((): PhaseProgress => ({ messages: 0, bytes: 0, ms: 0 }))
  screen.heading('Setup: random bytes in real sizes, each message checked by its SHA-256')
  screen.live(() => phases.map((phase, i) => phaseRow(screen, PHASES[i]!.name, phase, expected)))
  const begin = performance.now()
  const ids = verifiers.map(({ peerId }) => peerId)
  const [led, ...followed] = await Promise.all([
    group.call(operator.process, 'lead', { verifiers: ids }, progress => {
      phases = progress.phases ?? phases
      screen.update()
    }),
    ...verifiers.map(async one => group.call(one.process, 'follow', { operator: operator.peerId }))
  ])
  const ms = performance.now() - begin
  phases = led.phases
  screen.close()

  printTallies(screen, [
    { name: operator.name, tally: led.tally },
    ...verifiers.map(({ name }, i) => ({ name, tally: followed[i]!.tally }))
  ])
  const messages = phases.reduce((sum, phase) => sum + phase.messages, 0)
  const size = phases.reduce((sum, phase) => sum + phase.bytes, 0)
  return `${messages} messages (${bytes(size)}) in ${duration(ms)}`
}

function phaseRow(screen: Screen, name: string, phase: PhaseProgress, expected: number): Row {
  const { messages, bytes: size, ms } = phase
  const final = messages === expected
  const mark = messages === 0 ? ' ' : screen.mark(final)
  const told = [`${messages}/${expected} messages`.padStart(16), bytes(size), duration(ms), rate(size, ms)]
  const cells = messages === 0 ? '' : told.map(cell => cell.padStart(9)).join('  ')
  const bar = screen.bar(messages / expected, BAR_CELLS)
  return { text: `  ${mark} ${name.padEnd(NAME_WIDTH)}  ${bar}${cells}`, final }
}

/** A stranger, who is on nobody's list, dials the operator. */
async function turnAway(group: ProcessGroup, screen: Screen, cast: Cast): Promise<void> {
  const { operator, verifiers, stranger } = cast
  const who = `${stranger.keyType} key, ${short(stranger.peerId)}`
  screen.heading(`A stranger (${who}) dials the operator at port ${portOf(operator.address)}`)
  const { peerId, address } = operator
  const [seen, dialled] = await Promise.all([
    group.call(operator.process, 'awaitStranger', { verifiers: verifiers.map(one => one.peerId) }),
    group.call(stranger.process, 'dial', { peerId, address })
  ])
  if (dialled.refusal === undefined) throw new Error('the operator let a stranger in')
  if (seen.refusal.peerId !== stranger.peerId) {
    throw new Error(`the operator turned away ${seen.refusal.peerId}, wanted ${stranger.peerId}`)
  }
  screen.labelled('stranger sees', sentence(dialled.refusal))
  screen.labelled('operator sees', sentence(seen.refusal))
  const { connected, answered } = seen
  const all = verifiers.length
  screen.labelled(
    'verifiers',
    `${connected} of ${all} still connected; ${answered} of ${all} acknowledged one more message`
  )
  if (connected < all || answered < all)
    throw new Error(`only ${answered} of ${all} verifiers are still there`)
}

function sentence({ code, message }: Refusal): string {
  return `Error ${styleText('yellow', code)}: ${printable(message)}`
}
