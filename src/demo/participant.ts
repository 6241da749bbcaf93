/**
 * One process of the demo, a program of its own. The process that the user started calls its methods over the channel
 * between the two, for choreography and display; what the participants have to say to one another goes through
 * bitvmx-p2p. Every method that has to do with messages is synchronous from its first line to its last, as a BitVMX node
 * is: no turn of this process's event loop happens in between.
 */
import { generatePrivateKey, P2p, parseAllowList, peerIdFromPrivateKey } from '../index.ts'
import type { KeyType, Limits } from '../index.ts'
import { EventLoop } from './event-loop.ts'
import { receiveFile, sendFile } from './file-transfer.ts'
import type { Arrival, Delivery } from './file-transfer.ts'
import { awaitStranger, lead } from './operator.ts'
import type { PhaseProgress, Refusal, StrangerSeen } from './operator.ts'
import type { Tally } from './tally.ts'
import { follow } from './verifier.ts'

/** What a method tells while it lasts. */
export interface Progress {
  phases?: PhaseProgress[]
  bytes?: number
}

/** From the parent. */
export interface Call {
  method: keyof Methods
  params: unknown
}

/** To the parent. */
export type Reply = { result: unknown } | { error: string } | { progress: Progress }

export type Methods = typeof methods

/** Often enough for a moving display, in milliseconds. */
const PROGRESS_INTERVAL_MS = 50

let privateKey: Uint8Array
let loop: EventLoop

const methods = {
  /** Makes a key of its own, which never leaves the process. */
  async createKey({ type }: { type: KeyType }): Promise<{ peerId: string }> {
    privateKey = await generatePrivateKey(type)
    return { peerId: peerIdFromPrivateKey(privateKey) }
  },

  /** Starts a node that listens and admits who is on the list. */
  start({ allowList, limits }: { allowList: string; limits: Partial<Limits> }): { address: string } {
    const options = { allowList: parseAllowList(allowList), limits }
    loop = new EventLoop(P2p.start('127.0.0.1:0', privateKey, options))
    return { address: loop.p2p.addresses[0]! }
  },

  dial({ peerId, address }: { peerId: string; address: string }): {
    dialMs: number | undefined
    refusal?: Refusal
  } {
    const error = loop.dial(peerId, address)
    if (error === undefined) return { dialMs: loop.tally.dialMs }
    return { dialMs: undefined, refusal: { peerId, code: error.code, message: error.message } }
  },

  lead({ verifiers }: { verifiers: string[] }): { phases: PhaseProgress[]; tally: Tally } {
    return lead(loop, verifiers, phases => report({ phases }))
  },

  follow({ operator }: { operator: string }): { tally: Tally } {
    return follow(loop, operator)
  },

  awaitStranger({ verifiers }: { verifiers: string[] }): StrangerSeen {
    return awaitStranger(loop, verifiers)
  },

  sendFile({ to, path, bytes }: { to: string; path: string; bytes: number }): Delivery {
    return sendFile(loop, to, path, bytes)
  },

  receiveFile({ from }: { from: string }): Arrival {
    return receiveFile(loop, from, bytes => report({ bytes }))
  },

  /** Stops the node; the process ends when nothing is left to do. */
  async stop(): Promise<void> {
    loop.p2p.stop()
    await loop.p2p.runtime.closed
    process.off('message', onCall)
    process.off('disconnect', onDisconnect)
    setImmediate(() => process.disconnect())
  }
}

let reported = -Infinity

/** Tells how far a method is, though not too often. What is told is small enough to be written at once. */
function report(progress: Progress): void {
  const now = performance.now()
  if (now - reported < PROGRESS_INTERVAL_MS) return
  reported = now
  reply({ progress })
}

function reply(message: Reply): void {
  process.send?.(message)
}

function onCall(call: Call): void {
  void perform(call)
}

async function perform({ method, params }: Call): Promise<void> {
  try {
    reply({ result: await methods[method](params as never) })
  } catch (err) {
    reply({ error: err instanceof Error ? err.message : String(err) })
  }
}

/** The parent is gone. Between two calls this tells of it; during one, the event loop does. */
function onDisconnect(): void {
  process.exit(1)
}

// Ctrl-C reaches every process of the terminal; the one that the user started decides what follows from it.
process.on('SIGINT', () => {})
process.on('disconnect', onDisconnect)
process.on('message', onCall)
