/** Attackers as tests see them: each has an address and a key of its own, and lives in a process with others. */
import { generatePrivateKey, peerIdFromPrivateKey } from 'bitvmx-p2p'
import { onTestFinished } from 'vitest'
import { startProgram } from './program.ts'
import type { Program } from './program.ts'

/** What came of an attempt to connect and to have a message taken. */
export interface Attempt {
  admitted: boolean
  /** Bytes that the node sent. */
  bytes: number
}

export interface Attacker {
  peerId: string
  /** Nobody listens there. */
  addresses: string[]
  from: string
  /** Calls a method of test/adversarial/programs/attacker.mjs. */
  call: <T = unknown>(method: string, body?: object) => Promise<T>
  /** Commits an offence of test/adversarial/programs/attacks-*.mjs. */
  attack: (name: string) => Promise<unknown>
  enter: () => Promise<Attempt>
}

export interface AttackerInit {
  /** The node's address, as multiaddr text. */
  target: string
  from?: string
  key?: Uint8Array
}

/** A process of attackers that is killed when the test is over. */
export function startAttackers(): (init: AttackerInit) => Promise<Attacker> {
  const program = startProgram('attacker.mjs')
  onTestFinished(() => program.kill())
  return async init => createAttacker(program, init)
}

let created = 0

/** An attacker in a running process. */
export async function createAttacker(program: Program, init: AttackerInit): Promise<Attacker> {
  const { target, from = '127.0.0.1', key = await generatePrivateKey() } = init
  const seed = ++created
  const actor = String(seed)
  const call: Attacker['call'] = async (method, body = {}) => program.call(method, { actor, ...body })
  await call('create', { port: portOf(target), from, key, other: await generatePrivateKey(), seed })
  return {
    peerId: peerIdFromPrivateKey(key),
    addresses: [],
    from,
    call,
    attack: async name => call('attack', { name }),
    enter: async () => call('enter')
  }
}

export function portOf(address: string): number {
  return Number(address.split('/')[4])
}
