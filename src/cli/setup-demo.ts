import { formatAllowList } from '../allow-list/index.ts'
import type { AllowListEntry } from '../allow-list/index.ts'
import type { KeyType } from '../identity/index.ts'
import type { Crew } from './crew.ts'
import type { DialOutcome, PhaseProgress, Rejection } from './duties.ts'
import { bytes, duration, portOf, printable, short } from './format.ts'
import { phaseRows, phaseTitles } from './phase-lines.ts'
import { MESSAGES_PER_VERIFIER } from './phases.ts'
import { connect, enlist, giveAllowList, introduce, listen, roster } from './roster.ts'
import type { Participant } from './roster.ts'
import type { Screen } from './screen.ts'
import { printTallies } from './table.ts'
import { version } from './usage.ts'

/** Every kind of key takes part. */
const OPERATOR_KEY: KeyType = 'RSA'
const VERIFIER_KEYS: readonly KeyType[] = ['Ed25519', 'secp256k1', 'RSA']
const STRANGER_KEY: KeyType = 'Ed25519'
/** Entries shown of the operator's allow list. */
const SHOWN_ENTRIES = 3

/** A program setup between an operator and verifiers, and a stranger at the door. */
export async function demoSetup(crew: Crew, screen: Screen, count: number): Promise<void> {
  const begin = performance.now()
  screen.line(
    `${screen.style('bold', `bitvmx-p2p ${version()}`)}  a BitVMX program setup, on this machine alone`
  )
  screen.line(
    screen.style('dim', 'Every participant is a process of its own. It makes its key and keeps it.')
  )

  const cast: Cast = {
    operator: enlist(crew, 'operator', OPERATOR_KEY),
    verifiers: Array.from({ length: count }, (_, i) =>
      enlist(crew, `verifier ${i + 1}`, VERIFIER_KEYS[i % VERIFIER_KEYS.length]!)
    ),
    stranger: enlist(crew, 'stranger', STRANGER_KEY)
  }
  await assemble(crew, screen, cast)
  const result = await setUp(crew, screen, cast)
  await turnAway(crew, screen, cast)
  await crew.leave()

  screen.line()
  const done = screen.style(['green', 'bold'], 'Done')
  screen.line(`${done} in ${duration(performance.now() - begin)}: ${result}, every message acknowledged.`)
  screen.line(screen.style('dim', "Next: 'demo FILE' sends a file of yours; 'demo --help' tells more."))
}

interface Cast {
  operator: Participant
  verifiers: Participant[]
  stranger: Participant
}

/** Everybody makes a key, gets an allow list and listens; then the verifiers dial the operator. */
async function assemble(crew: Crew, screen: Screen, { operator, verifiers, stranger }: Cast): Promise<void> {
  const shown = [operator, ...verifiers]
  screen.heading('Participants, all on 127.0.0.1')
  screen.live(() => roster(screen, shown))
  await Promise.all([...shown, stranger].map(async one => introduce(crew, one)))
  const [entries] = await Promise.all([
    giveAllowList(crew, operator, verifiers),
    ...[...verifiers, stranger].map(async one => giveAllowList(crew, one, [operator]))
  ])
  crew.removeDirectory()
  await Promise.all([...shown, stranger].map(async one => listen(crew, one)))

  operator.state = 'ready'
  operator.note = 'leads'
  screen.update()
  await Promise.all(
    verifiers.map(async verifier => {
      await connect(crew, verifier, operator)
      screen.update()
    })
  )
  screen.close()
  printAllowList(screen, entries)
}

function printAllowList(screen: Screen, entries: AllowListEntry[]): void {
  screen.heading("The operator's allow list, a YAML file; each verifier's names the operator alone")
  const lines = formatAllowList(entries).trimEnd().split('\n')
  for (const line of lines.slice(0, SHOWN_ENTRIES)) screen.line(`    ${line}`)
  if (lines.length > SHOWN_ENTRIES) {
    screen.line(screen.style('dim', `    … and ${lines.length - SHOWN_ENTRIES} more`))
  }
}

/** The three phases. What was done, in words. */
async function setUp(crew: Crew, screen: Screen, { operator, verifiers }: Cast): Promise<string> {
  const expected = MESSAGES_PER_VERIFIER * verifiers.length
  let phases: PhaseProgress[] = []
  screen.heading('Setup: random bytes in real sizes, each message checked by its SHA-256')
  screen.line(phaseTitles(screen))
  screen.live(() => phaseRows(screen, phases, expected))
  operator.member.onProgress = progress => {
    phases = progress.phases ?? phases
    screen.update()
  }
  const begin = performance.now()
  const [led, ...followed] = await Promise.all([
    crew.ask(operator.member, 'lead', { verifiers: verifiers.map(({ peerId }) => peerId) }),
    ...verifiers.map(async ({ member }) => crew.ask(member, 'follow', { operator: operator.peerId }))
  ])
  const ms = performance.now() - begin
  phases = led.phases
  screen.close()

  screen.heading('Summary')
  printTallies(screen, [
    { name: operator.name, tally: led.tally },
    ...verifiers.map(({ name }, i) => ({ name, tally: followed[i]!.tally }))
  ])
  const messages = phases.reduce((sum, phase) => sum + phase.messages, 0)
  const size = phases.reduce((sum, phase) => sum + phase.bytes, 0)
  return `${messages} messages (${bytes(size)}) in ${duration(ms)}`
}

/** Somebody who is on nobody's list dials the operator. */
async function turnAway(crew: Crew, screen: Screen, { operator, verifiers, stranger }: Cast): Promise<void> {
  const who = `${stranger.keyType} key, ${short(stranger.peerId)}`
  screen.heading(`A stranger (${who}) dials the operator at port ${portOf(operator.address)}`)
  const [seen, outcome] = await Promise.all([
    crew.ask(operator.member, 'guard', { verifiers: verifiers.map(({ peerId }) => peerId) }),
    crew.ask(stranger.member, 'dial', { peerId: operator.peerId, address: operator.address })
  ])
  if (outcome.ok) throw new Error('the operator let a stranger in')
  if (seen.peerId !== stranger.peerId) {
    throw new Error(`the operator turned away ${seen.peerId}, wanted ${stranger.peerId}`)
  }
  printError(screen, '    stranger sees  ', outcome)
  printError(screen, '    operator sees  ', seen)
  const { connected, answered } = seen
  const all = verifiers.length
  const still = `${connected} of ${all} still connected; ${answered} of ${all} acknowledged one more message`
  screen.labelled('    verifiers      ', still)
  if (connected < all || answered < all)
    throw new Error(`only ${answered} of ${all} verifiers are still there`)
}

function printError(
  screen: Screen,
  label: string,
  { code, message }: Rejection | Extract<DialOutcome, { ok: false }>
): void {
  screen.labelled(label, `Error ${screen.style('yellow', code)}: ${printable(message)}`)
}
