import type { ChildProcess } from 'node:child_process'
import { styleText } from 'node:util'
import { formatAllowList } from '../index.ts'
import type { KeyType, Limits } from '../index.ts'
import { duration, portOf, short } from './format.ts'
import { PATIENT_TIMEOUT_MS } from './limits.ts'
import type { ProcessGroup } from './process-group.ts'
import type { Row, Screen } from './screen.ts'

const PATIENT: Partial<Limits> = { handshakeTimeoutMs: PATIENT_TIMEOUT_MS, ackTimeoutMs: PATIENT_TIMEOUT_MS }

/** A participant of a demo, as the process that the user started sees it. */
export interface Participant {
  process: ChildProcess
  name: string
  keyType: KeyType
  /** Where it is in getting ready. */
  state: 'starting' | 'has a key' | 'listening' | 'ready'
  peerId: string
  address: string
  /** What is said of it when it is ready. */
  note: string
}

/** Starts a process for a participant. */
export function spawn(group: ProcessGroup, name: string, keyType: KeyType): Participant {
  return { process: group.spawn(name), name, keyType, state: 'starting', peerId: '', address: '', note: '' }
}

/** Has a participant make its key. */
export async function createKey(group: ProcessGroup, participant: Participant): Promise<void> {
  const { peerId } = await group.call(participant.process, 'createKey', { type: participant.keyType })
  Object.assign(participant, { peerId, state: 'has a key' })
}

/** An allow list that names these participants and where they are, and nobody else. */
export function allowListOf(participants: Participant[]): string {
  return formatAllowList(participants.map(({ peerId }) => ({ peerId, ips: ['127.0.0.1'] })))
}

/** Has a participant listen, for these others alone. */
export async function listen(
  group: ProcessGroup,
  participant: Participant,
  others: Participant[],
  limits: Partial<Limits> = {}
): Promise<void> {
  const params = { allowList: allowListOf(others), limits: { ...PATIENT, ...limits } }
  const { address } = await group.call(participant.process, 'start', params)
  Object.assign(participant, { address, state: 'listening' })
}

/** Has a participant dial another. @throws Error when the other does not admit it */
export async function connect(group: ProcessGroup, from: Participant, to: Participant): Promise<void> {
  const { peerId, address } = to
  const { dialMs, refusal } = await group.call(from.process, 'dial', { peerId, address })
  if (refusal !== undefined) throw new Error(`${from.name}: ${refusal.code}: ${refusal.message}`)
  Object.assign(from, { state: 'ready', note: `dial ${duration(dialMs!)}` })
}

/** The participants as lines of a live screen. */
export function roster(screen: Screen, participants: Participant[]): Row[] {
  const width = Math.max(...participants.map(({ name }) => name.length))
  return participants.map(({ name, keyType, peerId, address, process: { pid }, state, note }) => {
    const final = state === 'ready'
    const who = `${name.padEnd(width)}  ${keyType.padEnd(9)}  ${(peerId && short(peerId)).padEnd(11)}`
    const where = `pid ${pid}  ${(address && `port ${portOf(address)}`).padEnd(10)}`
    const text = `  ${screen.mark(final)} ${who}  ${styleText('dim', `${where}  ${final ? note : `${state}…`}`)}`
    return { text, final }
  })
}
