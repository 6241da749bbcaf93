import type { P2p, P2pEvent } from '../index.ts'
import type { Tally } from './tally.ts'

/** A BitVMX node looks at its channels every 10 ms; here a message that comes sooner ends the wait. */
const TICK_MS = 10
/** The process that has started this one. Another number means that it is gone. */
const PARENT = process.ppid

/** A node as a BitVMX node drives it: one synchronous loop that reads the channels, sends, and keeps count. */
export class EventLoop {
  readonly p2p: P2p
  readonly #counts = { sent: 0, received: 0, bytesSent: 0, bytesReceived: 0 }
  #dialMs: number | undefined
  readonly #roundTrips: number[] = []
  /** When each message was sent whose Status has not come, by id. */
  readonly #unsettled = new Map<number, number>()

  constructor(p2p: P2p) {
    this.p2p = p2p
  }

  /** Dials, and waits for the outcome: the `Error` that answers the dial, or nothing when the peer is connected. */
  dial(peerId: string, address: string): Extract<P2pEvent, { type: 'Error' }> | undefined {
    const begin = performance.now()
    const id = this.p2p.sender.dial(peerId, address)
    for (;;) {
      const event = this.next()
      if (event === undefined) continue
      if (event.type === 'Error' && event.id === id) return event
      if (event.type !== 'Connected' || event.peerId !== peerId) throw unexpected(event)
      this.#dialMs = performance.now() - begin
      return undefined
    }
  }

  /** Hands a message to the network; its id. @throws P2pError as `Sender.sendMsg` */
  send(peerId: string, data: Uint8Array): number {
    const begin = performance.now()
    const id = this.p2p.sender.sendMsg(peerId, data)
    this.#unsettled.set(id, begin)
    this.#counts.sent++
    this.#counts.bytesSent += data.length
    return id
  }

  /** The next event, if one comes within a tick. @throws Error when a message was lost: no demo goes on without it */
  next(): P2pEvent | undefined {
    if (process.ppid !== PARENT) process.exit(1)
    const dropped = this.p2p.priority.tryRecv()
    if (dropped !== undefined)
      throw new Error(`no room for ${dropped.messages} messages of ${dropped.peerId}`)
    const event = this.p2p.receiver.recv(TICK_MS)
    if (event === undefined && this.p2p.receiver.closed) throw new Error('the network thread has ended')
    if (event?.type === 'Data') {
      this.#counts.received++
      this.#counts.bytesReceived += event.data.length
    } else if (event?.type === 'Status') {
      if (!event.ok) throw unexpected(event)
      this.#roundTrips.push(performance.now() - this.#unsettled.get(event.id)!)
      this.#unsettled.delete(event.id)
    }
    return event
  }

  /** The next message of a peer; until it is there, nothing but good news is expected. */
  message(from: string): Uint8Array {
    for (;;) {
      const event = this.next()
      if (event?.type === 'Data' && event.peerId === from) return event.data
      if (event !== undefined && event.type !== 'Status' && event.type !== 'Connected')
        throw unexpected(event)
    }
  }

  /** Waits until the other side has acknowledged every message that was sent. */
  settle(): void {
    while (this.#unsettled.size > 0) {
      const event = this.next()
      if (event !== undefined && event.type !== 'Status') throw unexpected(event)
    }
  }

  get tally(): Tally {
    const sorted = this.#roundTrips.toSorted((a, b) => a - b)
    const quantile = (q: number): number => sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)]!
    return {
      ...this.#counts,
      acks: sorted.length,
      roundTripMs: sorted.length === 0 ? [] : [0, 0.5, 0.99, 1].map(quantile),
      dialMs: this.#dialMs
    }
  }
}

/** An event that has no place in the plan, as an error. */
export function unexpected(event: P2pEvent): Error {
  switch (event.type) {
    case 'Data':
      return new Error(`a message of ${event.data.length} bytes came out of turn from ${event.peerId}`)
    case 'Status':
      return new Error(`a message to ${event.peerId} was not taken: ${event.reason ?? 'out of turn'}`)
    case 'ConnectionLimit':
      return new Error(`the token bucket of ${event.peerId ?? event.ip} ran empty: ${event.cause}`)
    case 'Error':
      return new Error(`${event.code}: ${event.message}`)
    case 'Connected':
      return new Error(`${event.peerId} connected out of turn`)
    case 'AlreadyConnected':
      return new Error(`${event.peerId} was connected before it was dialled`)
    case 'Disconnected':
      return new Error(`${event.peerId} disconnected: ${event.reason}`)
  }
}
