/**
 * Nodes in processes of their own, for the tests that need a real second process.
 *
 *     const [alice, bob] = await Promise.all([startNode(), startNode({ limits: { receiverMessages: 10 } })])
 *     await connect(alice, bob)
 *     const id = await alice.sendMsg(bob, Buffer.from('hello'))
 *     await bob.event({ type: 'Data', peerId: alice.peerId })
 *     await alice.event({ type: 'Status', id, ok: true })
 *
 * The application thread of such a process uses the synchronous API only: while a call runs in it, its event loop
 * stands still. Calls run one after the other. `run` executes any function there, which is how a test writes an
 * autonomous application:
 *
 *     const received = await bob.run(({ p2p }, count) => {
 *       let received = 0
 *       while (received < count) if (p2p.receiver.recv()?.type === 'Data') received++
 *       return received
 *     }, 1_000)
 *
 * The function's text is sent: it may use its two parameters and globals, nothing else of the file it stands in.
 * Arguments and results are structured clones. Every call has a deadline, and the process is killed when the test is
 * over; one started in `beforeAll` when the file is over.
 */
import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import type { createHash } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import type { Worker } from 'node:worker_threads'
import type { Command, P2p, P2pErrorCode, P2pEvent, P2pOptions } from 'bitvmx-p2p'
import { afterAll, onTestFinished, TestRunner } from 'vitest'

/** Long variants of some tests run only when this is set. */
export const LONG: boolean = process.env['BITVMX_LONG'] === '1'

/** A call without an answer for so long fails, in milliseconds. */
const CALL_DEADLINE_MS = 60_000
/** `event` waits so long by default, in milliseconds. */
const EVENT_DEADLINE_MS = 30_000

/** A machine that runs many tests at once is slow to shake hands. */
const PATIENT = { handshakeTimeoutMs: 30_000 }

/** The fields that an event must have, with these values. */
export type Match = Partial<Record<string, unknown>> & { type: P2pEvent['type'] | 'Dropped' }

/** What a function given to `run` finds in the process. */
export interface NodeScope {
  p2p: P2p
  /** Events taken from the receiver channel by `event` and not asked for yet. */
  log: P2pEvent[]
  /** Blocks until an event matches, and takes it; others go to `log`. @throws when none comes in time */
  event: (match: Match, deadlineMs?: number) => P2pEvent
  /** Deterministic bytes. */
  payload: (size: number, seed: number) => Uint8Array
  /** Hex SHA-256. */
  sha256: (data: Uint8Array) => string
  createHash: typeof createHash
  /** The thread behind `p2p`, for tests that harm it: it evaluates every text posted to it. */
  runtimeThread: Worker
  /** Lives as long as the process: for what one `run` leaves to the next. */
  state: Record<string, unknown>
}

export interface NodeInit extends P2pOptions {
  /** Default: a fresh Ed25519 key. */
  key?: Uint8Array | string
  /** Default '127.0.0.1:0'. */
  listen?: string | string[]
}

/** How a process ended. */
export interface Exit {
  code: number | null
  signal: NodeJS.Signals | null
}

/** A peer as `dial` and `sendMsg` name it. */
export interface PeerLike {
  peerId: string
  addresses: string[]
}

/** A node in another process. */
export interface NodeProcess extends PeerLike {
  readonly pid: number
  /** Settles when the process is gone. */
  readonly exited: Promise<Exit>
  /** Runs a function in the application thread there; its error comes back with `code` and `message`. */
  run: <A, R>(
    action: (scope: NodeScope, argument: A) => R,
    argument?: A,
    deadlineMs?: number
  ) => Promise<Awaited<R>>
  /** Hands over a command; its id. */
  send: (command: Command) => Promise<number>
  dial: (peer: PeerLike, address?: string) => Promise<number>
  sendMsg: (peer: PeerLike, data: Uint8Array) => Promise<number>
  disconnectFrom: (peer?: PeerLike) => Promise<number>
  /** Waits for the next matching event of the receiver channel and takes it; others stay for later calls. */
  event: <M extends Match>(match: M, deadlineMs?: number) => Promise<Extract<P2pEvent, { type: M['type'] }>>
  /** Takes every event that is there and was not taken by `event`. */
  events: () => Promise<P2pEvent[]>
  /** Kills the process outright: no goodbye to anybody. */
  kill: (signal?: NodeJS.Signals) => Promise<Exit>
}

/** An error that was thrown in the other process. */
export class RemoteError extends Error {
  readonly code: P2pErrorCode | undefined

  constructor({ message, code }: { message: string; code?: P2pErrorCode }) {
    super(message)
    this.name = 'RemoteError'
    this.code = code
  }
}

/**
 * Starts a node in a process of its own. Without an allow list in `init`, everybody may come in. `under`: a command
 * that runs the command behind it, such as unshare.
 */
export async function startNode(init: NodeInit = {}, under: string[] = []): Promise<NodeProcess> {
  const child = forkProgram('node.mjs', [], under)
  const calls = new Calls(child)
  const { listen = '127.0.0.1:0', key, ...options } = init
  const limits = { ...PATIENT, ...options.limits }
  const start = { listen, key, options: { allowList: 'allow-all', ...options, limits } }
  const { peerId, addresses } = (await calls.call('start', start, CALL_DEADLINE_MS)) as PeerLike
  const exited = calls.exited
  const run: NodeProcess['run'] = async (action, argument, deadlineMs = CALL_DEADLINE_MS) =>
    (await calls.call('run', { source: String(action), argument }, deadlineMs)) as never

  return {
    peerId,
    addresses,
    pid: child.pid!,
    exited,
    run,
    send: async command => run(({ p2p }, given) => p2p.sender.send(given), command),
    dial: async (peer, address = peer.addresses[0]!) =>
      run(({ p2p }, given) => p2p.sender.dial(...given), [peer.peerId, address] as const),
    sendMsg: async (peer, data) =>
      run(({ p2p }, given) => p2p.sender.sendMsg(...given), [peer.peerId, data] as const),
    disconnectFrom: async peer => run(({ p2p }, given) => p2p.sender.disconnectFrom(given), peer?.peerId),
    event: async (match, deadlineMs = EVENT_DEADLINE_MS) =>
      (await run(
        ({ event }, given) => event(...given),
        [match as Match, deadlineMs] as const,
        deadlineMs + CALL_DEADLINE_MS
      )) as never,
    events: async () => run(({ p2p, log }) => [...log.splice(0), ...p2p.receiver.drain()]),
    kill: async (signal = 'SIGKILL') => {
      child.kill(signal)
      return exited
    }
  }
}

/** Connects `from` to `to` and waits until both say so. */
export async function connect(from: NodeProcess, to: NodeProcess): Promise<void> {
  const id = await from.dial(to)
  await Promise.all([
    from.event({ type: 'Connected', peerId: to.peerId, id }),
    to.event({ type: 'Connected', peerId: from.peerId })
  ])
}

const childrenOfTheFile: ChildProcess[] = []
afterAll(() => childrenOfTheFile.forEach(child => child.kill('SIGKILL')))

/** Forks a program of `test/support/programs`; it is killed when the test, or the file, is over. */
export function forkProgram(name: string, args: string[], under: string[] = []): ChildProcess {
  const [execPath, ...execArgv] = [...under, process.execPath]
  const child = fork(fileURLToPath(new URL(`programs/${name}`, import.meta.url)), args, {
    serialization: 'advanced',
    execPath: execPath,
    execArgv
  })
  if (TestRunner.getCurrentTest() === undefined) childrenOfTheFile.push(child)
  else onTestFinished(() => void child.kill('SIGKILL'))
  return child
}

/** Settles when the process is gone. */
export async function exitOf(child: ChildProcess): Promise<Exit> {
  return new Promise(resolve => child.once('exit', (code, signal) => resolve({ code, signal })))
}

type Reply = { reply: number; value: unknown } | { reply: number; error: { message: string } }

/** Questions to a process and their answers, over its IPC channel. */
class Calls {
  readonly exited: Promise<Exit>
  readonly #child: ChildProcess
  readonly #pending = new Map<number, { resolve: (value: unknown) => void; reject: (err: Error) => void }>()
  #last = 0

  constructor(child: ChildProcess) {
    this.#child = child
    this.exited = exitOf(child)
    child.on('message', (message: Reply) => {
      const pending = this.#pending.get(message.reply)
      if ('error' in message) pending?.reject(new RemoteError(message.error))
      else pending?.resolve(message.value)
    })
    void this.exited.then(({ code, signal }) => {
      for (const { reject } of this.#pending.values()) {
        reject(new Error(`the process ended (code ${code}, signal ${signal}) before it answered`))
      }
    })
  }

  async call(method: string, body: object, deadlineMs: number): Promise<unknown> {
    const call = ++this.#last
    let timer: NodeJS.Timeout | undefined
    try {
      return await new Promise((resolve, reject) => {
        this.#pending.set(call, { resolve, reject })
        timer = setTimeout(() => reject(new Error(`no answer in ${deadlineMs} ms`)), deadlineMs)
        this.#child.send({ call, method, body }, err => {
          if (err !== null) reject(err)
        })
      })
    } finally {
      clearTimeout(timer)
      this.#pending.delete(call)
    }
  }
}
