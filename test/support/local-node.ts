/**
 * Nodes in the test's own process, for tests that need several nodes and no second process. Every event of the receiver
 * channel is kept in `events`, in order, so that a test can also say what did not happen.
 *
 *     const [alice, bob] = await Promise.all([startLocal(), startLocal()])
 *     await connectLocal(alice, bob)
 *     const id = alice.sendMsg(bob, Buffer.from('hello'))
 *     await alice.event({ type: 'Status', id, ok: true })
 *     expect(bob.count({ type: 'Data', peerId: alice.peerId })).toBe(1)
 *
 */
import { generatePrivateKey, P2p } from 'bitvmx-p2p'
import type { P2pEvent, P2pOptions } from 'bitvmx-p2p'
import { onTestFinished } from 'vitest'

/** `event` waits so long by default, in milliseconds: only a test that fails waits for it. */
const EVENT_DEADLINE_MS = 30_000
/** A machine that runs many tests at once is slow; a test that is about a timeout sets its own. */
const PATIENT = { handshakeTimeoutMs: 30_000, ackTimeoutMs: 30_000 }

/** The fields that an event must have, with these values. */
export type Match = Partial<Record<string, unknown>> & { type: P2pEvent['type'] }

export interface LocalInit extends P2pOptions {
  /** Default: a fresh Ed25519 key. */
  key?: Uint8Array | string
  /** Default '127.0.0.1:0'. */
  listen?: string | string[]
}

/** What is needed to dial a node. */
export interface Reachable {
  peerId: string
  addresses: string[]
}

/** A node in this process. */
export interface LocalNode extends Reachable {
  readonly p2p: P2p
  /** Everything the receiver channel has told, oldest first. */
  readonly events: readonly P2pEvent[]
  dial: (peer: Reachable, address?: string) => number
  sendMsg: (peer: Reachable, data: Uint8Array) => number
  /** The next matching event that no earlier call has returned. */
  event: <M extends Match>(match: M, deadlineMs?: number) => Promise<Extract<P2pEvent, { type: M['type'] }>>
  /** How many matching events there have been. */
  count: (match: Match) => number
  /** Lets go of all events so far, but not of a defect of the node's own. */
  forget: () => void
  /** Everything that the network thread has told before this call is in `events`. */
  settled: () => Promise<void>
}

/** Starts a node that is stopped when its test is over. Without an allow list in `init`, everybody may come in. */
export async function startLocal(init: LocalInit = {}): Promise<LocalNode> {
  const node = await launchLocal(init)
  onTestFinished(async () => stopLocal(node))
  return node
}

/** Starts a node that somebody else stops, for tests that share it. */
export async function launchLocal(init: LocalInit = {}): Promise<LocalNode> {
  const { listen = '127.0.0.1:0', key = await generatePrivateKey(), limits, ...rest } = init
  const options = { allowList: 'allow-all' as const, limits: { ...PATIENT, ...limits }, ...rest }
  return observe(await P2p.startAsync(listen, key, options))
}

/** Stops a node and waits until it is gone. @throws when it has told of a defect of its own */
export async function stopLocal({ p2p, events }: LocalNode): Promise<void> {
  p2p.stop()
  await p2p.runtime.closed
  const defect = events.find(isDefect)
  if (defect !== undefined) throw new Error(`the runtime told of a defect: ${show(defect)}`)
}

function isDefect(event: P2pEvent): boolean {
  return event.type === 'Error' && event.code === 'ERR_RUNTIME_FAILED'
}

/** Reads the receiver channel of a node from now on. */
export function observe(p2p: P2p): LocalNode {
  const events: P2pEvent[] = []
  /** Not yet returned by `event`, oldest first, by type. */
  const untaken = new Map<P2pEvent['type'], Set<P2pEvent>>()
  const untakenOf = (type: P2pEvent['type']): Set<P2pEvent> => {
    let set = untaken.get(type)
    if (set === undefined) untaken.set(type, (set = new Set()))
    return set
  }
  const waiting = new Set<(event: P2pEvent) => void>()
  void (async () => {
    for await (const event of p2p.receiver) {
      events.push(event)
      untakenOf(event.type).add(event)
      for (const look of waiting) look(event)
    }
  })()

  const next = async (match: Match, deadlineMs: number): Promise<P2pEvent> =>
    new Promise((resolve, reject) => {
      const look = (event: P2pEvent): boolean => {
        if (!untakenOf(event.type).has(event) || !matches(event, match)) return false
        untakenOf(event.type).delete(event)
        waiting.delete(look)
        clearTimeout(timer)
        resolve(event)
        return true
      }
      const timer = setTimeout(() => {
        waiting.delete(look)
        reject(
          new Error(`no event ${show(match)} in ${deadlineMs} ms; the last were ${show(events.slice(-20))}`)
        )
      }, deadlineMs)
      for (const event of untakenOf(match.type)) if (look(event)) return
      waiting.add(look)
    })

  return {
    p2p,
    events,
    peerId: p2p.peerId,
    addresses: p2p.addresses,
    dial: (peer, address = peer.addresses[0]!) => p2p.sender.dial(peer.peerId, address),
    sendMsg: (peer, data) => p2p.sender.sendMsg(peer.peerId, data),
    event: async (match, deadlineMs = EVENT_DEADLINE_MS) => (await next(match, deadlineMs)) as never,
    forget: () => {
      events.splice(0, Infinity, ...events.filter(isDefect))
      untaken.clear()
    },
    count: match => events.filter(event => matches(event, match)).length,
    settled: async () => {
      await p2p.runtime.inspectAsync()
      // The answer came after those events; the loop above has its turn before this one.
      while (p2p.receiver.length > 0) await new Promise(resolve => setImmediate(resolve))
    }
  }
}

/** Connects `from` to `to` and waits until both say so. */
export async function connectLocal(from: LocalNode, to: LocalNode): Promise<void> {
  const id = from.dial(to)
  await Promise.all([
    from.event({ type: 'Connected', peerId: to.peerId, id }),
    to.event({ type: 'Connected', peerId: from.peerId })
  ])
}

/** The multiaddr without its peer ID. */
export function bareAddress({ addresses }: Reachable): string {
  return addresses[0]!.replace(/\/p2p\/.*/, '')
}

/** The TCP port a node listens on; by default that of its first address. */
export function portOf({ addresses }: Reachable, family?: number): number {
  const address = family === undefined ? addresses[0] : addresses.find(a => a.startsWith(`/ip${family}/`))
  return Number(/\/tcp\/(\d+)/.exec(address ?? '')![1])
}

/** Whether an event has all these values. */
export function matches(event: P2pEvent, match: Match): boolean {
  return Object.entries(match).every(([key, value]) => (event as Record<string, unknown>)[key] === value)
}

function show(value: unknown): string {
  const text = JSON.stringify(value, (key, part: unknown) =>
    key === 'data' ? `${(part as Uint8Array).length} bytes` : part
  )
  return text.slice(0, 4_000)
}
