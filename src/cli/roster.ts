import { join } from 'node:path'
import { writeAllowListFile } from '../allow-list/index.ts'
import type { AllowListEntry } from '../allow-list/index.ts'
import type { KeyType } from '../identity/index.ts'
import type { Limits } from '../options.ts'
import type { Crew } from './crew.ts'
import type { Contact } from './duties.ts'
import { duration, portOf, short } from './format.ts'
import type { Member } from './member.ts'
import type { Row, Screen } from './screen.ts'

const LOCALHOST = '127.0.0.1'
/** All nodes of a demo share one machine, which may be a small one: nobody is to be thought dead for being slow. */
const PATIENT: Partial<Limits> = { handshakeTimeoutMs: 30_000, ackTimeoutMs: 30_000 }

/** A participant of a demo: a process, its key, and whom it admits. */
export interface Participant extends Contact {
  member: Member
  name: string
  keyType: KeyType
  /** Where it is in getting ready. */
  state: 'starting' | 'has a key' | 'listening' | 'ready'
  /** What is said of it when it is ready. */
  note: string
}

/** Starts a process for a participant, and shows it from then on. */
export function enlist(crew: Crew, name: string, keyType: KeyType): Participant {
  return { member: crew.hire(name), name, keyType, peerId: '', address: '', state: 'starting', note: '' }
}

/** Has a participant make its key. */
export async function introduce(crew: Crew, participant: Participant): Promise<void> {
  const { member, keyType } = participant
  Object.assign(participant, await crew.ask(member, 'introduce', { keyType }), { state: 'has a key' })
}

/**
 * Gives a participant its allow list, a file that names nobody but the peers that it has to do with, and where they
 * are; the entries.
 */
export async function giveAllowList(
  crew: Crew,
  { name, member }: Participant,
  peers: Participant[]
): Promise<AllowListEntry[]> {
  const entries = peers.map(({ peerId }) => ({ peerId, ips: [LOCALHOST] }))
  const path = join(crew.directory, `${name.replaceAll(' ', '-')}.yaml`)
  writeAllowListFile(path, entries)
  await crew.ask(member, 'readAllowList', { path })
  return entries
}

/** Has a participant listen. */
export async function listen(
  crew: Crew,
  participant: Participant,
  limits: Partial<Limits> = {}
): Promise<void> {
  const { address } = await crew.ask(participant.member, 'start', { limits: { ...PATIENT, ...limits } })
  Object.assign(participant, { address, state: 'listening' })
}

/** Has a participant dial another. @throws Error when the other does not admit it */
export async function connect(crew: Crew, from: Participant, { peerId, address }: Contact): Promise<void> {
  const outcome = await crew.ask(from.member, 'dial', { peerId, address })
  if (!outcome.ok) throw new Error(`${from.name}: ${outcome.code}: ${outcome.message}`)
  Object.assign(from, { state: 'ready', note: `dial ${duration(outcome.ms)}` })
}

/** The participants as lines of a live screen. */
export function roster(screen: Screen, participants: Participant[]): Row[] {
  const width = Math.max(...participants.map(({ name }) => name.length))
  return participants.map(({ name, keyType, peerId, address, member, state, note }) => {
    const final = state === 'ready'
    const who = `${name.padEnd(width)}  ${keyType.padEnd(9)}  ${(peerId && short(peerId)).padEnd(11)}`
    const where = `pid ${member.pid}  ${(address && `port ${portOf(address)}`).padEnd(10)}`
    return {
      text: `  ${screen.mark(final)} ${who}  ${screen.style('dim', `${where}  ${final ? note : `${state}…`}`)}`,
      final
    }
  })
}
