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
 * A node is stopped when its test is over.
 */
import { generatePrivateKey, P2p } from 'bitvmx-p2p'
import type { P2pEvent, P2pOptions } from 'bitvmx-p2p'
import { onTestFinished } from 'vitest'

/** `event` waits so long by default, in milliseconds. */
const EVENT_DEADLINE_MS = 10_000

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
  /** Everything that the network thread has told before this call is in `events`. */
  settled: () => Promise<void>
}

/** Starts a node. Without an allow list in `init`, everybody may come in. */
export async function startLocal(init: LocalInit = {}): Promise<LocalNode> {
  const { listen = '127.0.0.1:0', key = await generatePrivateKey(), ...options } = init
  const p2p = await P2p.startAsync(listen, key, { allowList: 'allow-all', ...options })
  onTestFinished(async () => {
    p2p.stop()
    await p2p.runtime.closed
  })
  return observe(p2p)
}

/** Reads the receiver channel of a node from now on. */
export function observe(p2p: P2p): LocalNode {
  const events: P2pEvent[] = []
  const taken = new Set<P2pEvent>()
  const waiting = new Set<() => void>()
  void (async () => {
    for await (const event of p2p.receiver) {
      events.push(event)
      for (const look of waiting) look()
    }
  })()

  const next = async (match: Match, deadlineMs: number): Promise<P2pEvent> =>
    new Promise((resolve, reject) => {
      let from = 0
      const look = (): void => {
        for (; from < events.length; from++) {
          const event = events[from]!
          if (taken.has(event) || !matches(event, match)) continue
          taken.add(event)
          done()
          resolve(event)
          return
        }
      }
      const timer = setTimeout(() => {
        done()
        reject(
          new Error(`no event ${show(match)} in ${deadlineMs} ms; there were ${show(events.slice(-20))}`)
        )
      }, deadlineMs)
      const done = (): void => {
        clearTimeout(timer)
        waiting.delete(look)
      }
      waiting.add(look)
      look()
    })

  return {
    p2p,
    events,
    peerId: p2p.peerId,
    addresses: p2p.addresses,
    dial: (peer, address = peer.addresses[0]!) => p2p.sender.dial(peer.peerId, address),
    sendMsg: (peer, data) => p2p.sender.sendMsg(peer.peerId, data),
    event: async (match, deadlineMs = EVENT_DEADLINE_MS) => (await next(match, deadlineMs)) as never,
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

/** The TCP port a node listens on. */
export function portOf(node: Reachable): number {
  return Number(/\/tcp\/(\d+)/.exec(node.addresses[0]!)![1])
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
