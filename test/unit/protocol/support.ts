import type { Logger } from '@libp2p/interface'
import { AbstractStream } from '@libp2p/utils'
import type { SendResult } from '@libp2p/utils'
import { Uint8ArrayList } from 'uint8arraylist'
import type { Cancel, Clock } from '../../../src/clock.ts'
import { concat } from '../../support/frames.ts'

export { concat, frame, payloads } from '../../support/frames.ts'

/** Seed of every property in this folder; fast-check prints it when one fails. */
export const seed = 0x70726f74

/** A clock that the test turns. */
export class FakeClock implements Clock {
  #now = 0
  readonly #timers = new Set<{ at: number; action: () => void }>()

  now = (): number => this.#now

  after = (ms: number, action: () => void): Cancel => {
    if (!(ms >= 0)) throw new RangeError(`a timer of ${ms} ms`)
    const timer = { at: this.#now + ms, action }
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }

  /** Timers that would still go off. */
  get armed(): number {
    return this.#timers.size
  }

  /** Lets time pass; actions run at their moment, in their order. */
  advance(ms: number): void {
    const end = this.#now + ms
    for (;;) {
      let next: { at: number; action: () => void } | undefined
      for (const timer of this.#timers) {
        if (timer.at <= end && (next === undefined || timer.at < next.at)) next = timer
      }
      if (next === undefined) break
      this.#timers.delete(next)
      this.#now = Math.max(this.#now, next.at)
      next.action()
    }
    this.#now = end
  }
}

/** Those who wait to hear of a peer. */
export class Listeners {
  readonly #actions = new Set<() => void>()

  /** How many wait. */
  get size(): number {
    return this.#actions.size
  }

  add = (action: () => void): Cancel => {
    this.#actions.add(action)
    return () => this.#actions.delete(action)
  }

  /** The peer is heard: each is told once. */
  tell(): void {
    const actions = [...this.#actions]
    this.#actions.clear()
    for (const action of actions) action()
  }
}

const silent: Logger = Object.assign(() => {}, {
  enabled: false,
  error: () => {},
  trace: () => {},
  newScope: () => silent
})

/**
 * A stream whose muxer is the test: libp2p's own stream (its buffers, states and events) over a far end that takes as
 * many bytes as it is told, in the way of yamux.
 */
export class TestStream extends AbstractStream {
  /** Bytes that the far end still takes: its window. */
  room = Infinity
  /** Whether the muxer asks for patience after each write although it has taken everything. */
  congested = false
  /** What has left this side. */
  readonly left: Uint8Array[] = []
  /** The far end is being given more window for what it sends. */
  flowing = true
  /** This side has reset the stream. */
  wasReset = false
  /** This side has closed for writing. */
  wasEnded = false

  constructor() {
    super({ id: 'test', log: silent })
  }

  /** Everything that has left, in one piece. */
  get leftBytes(): Uint8Array {
    return concat(this.left)
  }

  override sendData(data: Uint8ArrayList): SendResult {
    const sentBytes = Math.min(this.room, data.byteLength)
    const canSendMore = sentBytes === data.byteLength && !this.congested
    if (sentBytes > 0) this.left.push(data.slice(0, sentBytes))
    this.room -= sentBytes
    return { sentBytes, canSendMore }
  }

  override sendReset(): void {
    this.wasReset = true
  }

  override async sendCloseWrite(): Promise<void> {
    this.wasEnded = true
  }

  override async sendCloseRead(): Promise<void> {}

  override sendPause(): void {
    this.flowing = false
  }

  override sendResume(): void {
    this.flowing = true
  }

  /** The far end takes `bytes` more. Like yamux, this tells a drain only if something waits. */
  grant(bytes: number): void {
    this.room += bytes
    if (this.writeBufferLength > 0) this.safeDispatchEvent('drain')
  }

  /** The muxer has sent what was queued in it. */
  decongest(): void {
    this.congested = false
    this.onMuxerDrain()
  }

  /** Bytes arrive, in these parts. */
  receive(...parts: Uint8Array[]): void {
    this.onData(new Uint8ArrayList(...parts))
  }

  /** The far end closes for writing; with `bytes`, by the muxer frame that carries its last ones. */
  receiveEnd(bytes?: Uint8Array): void {
    this.onRemoteCloseWrite()
    if (bytes !== undefined) this.onData(bytes)
  }

  /** The far end resets the stream. */
  receiveReset(): void {
    this.onRemoteReset()
  }
}

/** Lets everything that is due in this turn of the event loop happen. */
export async function turn(): Promise<void> {
  await new Promise(resolve => setImmediate(resolve))
}

/** A promise that the test settles. */
export interface Deferred<T> {
  promise: Promise<T>
  resolve: (value: T) => void
  reject: (err: Error) => void
}

export function deferred<T>(): Deferred<T> {
  const parts: Partial<Deferred<T>> = {}
  parts.promise = new Promise<T>((resolve, reject) => Object.assign(parts, { resolve, reject }))
  return parts as Deferred<T>
}

/** A message whose number can be read from it: `size` bytes, at least 4. */
export function message(number: number, size = 4): Uint8Array {
  const payload = new Uint8Array(Math.max(4, size)).fill(number & 0xff)
  new DataView(payload.buffer).setUint32(0, number)
  return payload
}

export function numberOf(payload: Uint8Array): number {
  return new DataView(payload.buffer, payload.byteOffset).getUint32(0)
}

/** Acks as the far end writes them. */
export function acks(...statuses: number[]): Uint8Array {
  return concat(statuses.map(status => Uint8Array.of(1, status)))
}
