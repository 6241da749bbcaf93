import type { P2p } from '../p2p.ts'
import type { P2pEvent } from '../bridge/index.ts'
import type { Contact, DialOutcome, Tally } from './duties.ts'

/** A BitVMX node looks at its channels every 10 ms; here a message that comes sooner ends the wait. */
const TICK_MS = 10
/** Whoever has started this process. Another number means that he is gone. */
const PARENT = process.ppid

/** Where a participant works: reads the channels in a synchronous loop, and keeps count. */
export class Desk {
  readonly p2p: P2p
  /** Messages of others that this node had no room for. */
  dropped = 0
  #sent = 0
  #received = 0
  #bytesSent = 0
  #bytesReceived = 0
  #dialMs: number | undefined
  readonly #roundTrips: number[] = []
  /** When each message was sent whose Status has not come, by id. */
  readonly #unsettled = new Map<number, number>()

  constructor(p2p: P2p) {
    this.p2p = p2p
  }

  /** Messages whose Status has not come. */
  get unsettled(): number {
    return this.#unsettled.size
  }

  /** Dials, and waits for the outcome. */
  dial({ peerId, address }: Contact): DialOutcome {
    const begin = performance.now()
    const id = this.p2p.sender.dial(peerId, address)
    for (;;) {
      const event = this.next()
      if (event === undefined) continue
      if (event.type === 'Connected' && event.peerId === peerId) {
        this.#dialMs = performance.now() - begin
        return { ok: true, ms: this.#dialMs }
      }
      if (event.type === 'Error' && event.id === id) {
        return { ok: false, code: event.code, message: event.message }
      }
      throw unexpected(event)
    }
  }

  /** Hands a message to the network; its id. @throws P2pError as `Sender.sendMsg` */
  send(peerId: string, data: Uint8Array): number {
    const begin = performance.now()
    const id = this.p2p.sender.sendMsg(peerId, data)
    this.#unsettled.set(id, begin)
    this.#sent++
    this.#bytesSent += data.length
    return id
  }

  /** The next event, if one comes within a tick. */
  next(): P2pEvent | undefined {
    if (process.ppid !== PARENT) process.exit(1)
    const drop = this.p2p.priority.tryRecv()
    if (drop !== undefined) this.dropped += drop.messages
    const event = this.p2p.receiver.recv(TICK_MS)
    if (event?.type === 'Data') {
      this.#received++
      this.#bytesReceived += event.data.length
    } else if (event?.type === 'Status') {
      const begin = this.#unsettled.get(event.id)
      this.#unsettled.delete(event.id)
      if (event.ok && begin !== undefined) this.#roundTrips.push(performance.now() - begin)
    } else if (event === undefined && this.p2p.receiver.closed) {
      throw new Error('the network thread has ended')
    }
    return event
  }

  get tally(): Tally {
    const sorted = Float64Array.from(this.#roundTrips).sort()
    const quantile = (q: number): number => sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)]!
    return {
      sent: this.#sent,
      received: this.#received,
      bytesSent: this.#bytesSent,
      bytesReceived: this.#bytesReceived,
      acks: sorted.length,
      ...(sorted.length > 0 && {
        roundTrip: { min: quantile(0), median: quantile(0.5), p99: quantile(0.99), max: quantile(1) }
      }),
      ...(this.#dialMs !== undefined && { dialMs: this.#dialMs })
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
