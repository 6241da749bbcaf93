import type { Stream } from '@libp2p/interface'
import { parseDialAddress, toMultiaddr } from '../addresses/index.ts'
import type { Cancel, Clock } from '../clock.ts'
import { messageOf, P2pError } from '../errors.ts'
import type { P2pErrorCode } from '../errors.ts'
import { PROTOCOL_ID } from '../framing/index.ts'
import { denialText } from '../gater/index.ts'
import type { Denial } from '../gater/index.ts'
import { NameError } from '../names/index.ts'
import type { Names } from '../names/index.ts'
import { REMOTE_CLOSED } from '../libp2p/index.ts'
import type { Link, Node, Opened } from '../libp2p/index.ts'
import type { DialFailure } from '../outcomes.ts'
import type { Places } from '../places.ts'
import { ATTEMPT_DELAY_MS, MAX_ADDRESSES_OF_NAME, MAX_FAILURES_TOLD } from './limits.ts'
import { lost } from './link-ends.ts'
import { race } from './race.ts'

export interface DialTarget {
  peerId: string
  /** Multiaddr texts of IPs or names, in order of preference. */
  addresses: string[]
  /** All of it, names to admission, in milliseconds; waiting for a place does not count. */
  timeoutMs: number
  /** Ends the dial early. */
  signal: AbortSignal
}

/** What a dial needs. */
export interface DialInit {
  clock: Clock
  node: Node
  names: Names
  /** Taken while there are connections to be made, left while only names are waited for. */
  places: Places
  /** Why the allow list permits no connection to the peer at this IP, in words. */
  forbids: (ip: string) => string | undefined
  /** Why our own gater denied a connection of this dial since this was last asked, if it did. */
  takeDenial: () => Denial | undefined
}

/** Why a dial came to nothing, for programs and for people. */
export class DialError extends P2pError {
  readonly why: DialFailure
  /** The remote address, where it is about one. */
  readonly ip: string | undefined

  constructor(
    why: DialFailure,
    message: string,
    code: P2pErrorCode = 'ERR_DIAL_FAILED',
    { cause, ip }: { cause?: unknown; ip?: string | undefined } = {}
  ) {
    super(code, message, { cause })
    this.why = why
    this.ip = ip
  }
}

/** A dial that the peer admitted. */
export interface Dialled {
  link: Link
  /** The stream that proved it, ready for messages. */
  stream: Stream
}

/** An IP and port to try. */
interface Candidate {
  /** Multiaddr text. */
  address: string
  ip: string
  /** The place of the address that it came from among those given. */
  rank: number
  /** As errors name it. */
  name: string
}

/** What became of one address. */
interface Failure {
  why: DialFailure
  code: P2pErrorCode
  /** Follows the name of the address. */
  text: string
  name: string
  ip?: string
  cause?: unknown
}

/**
 * Connects to a peer at one of its addresses and waits until it has admitted us. A connection alone proves nothing: a
 * remote that turns us away closes it only after our side is complete; agreeing to the protocol on a first stream is what
 * shows admission.
 *
 * Names are resolved side by side; a TCP connection to the next address begins when the one before has failed or has been
 * alone for a while (see `race`), and the first that is made wins. One handshake is under way at a time: one that is
 * given up counts against this node at the remote. It may use half of the time that is left while there are other
 * addresses; when it fails, the race goes on among those.
 *
 * @throws DialError ERR_DIAL_FAILED, ERR_PEER_MISMATCH or ERR_NOT_ALLOWED, telling apart in words what happened at each
 * address; the reason of the target's signal
 */
export async function dialPeer(init: DialInit, target: DialTarget): Promise<Dialled> {
  return new DialAttempt(init, target).run()
}

class DialAttempt {
  readonly #init: DialInit
  readonly #target: DialTarget
  /** Ends everything under way: cancelled, out of time, or done. */
  readonly #ended = new AbortController()
  readonly #countdown: Countdown
  /** Ranks of the addresses whose names are being looked up. */
  readonly #resolving = new Set<number>()
  /** To be tried, in order of preference. */
  readonly #candidates: Candidate[] = []
  readonly #failures: Failure[] = []
  /** A name that comes before others is waited for as long as an attempt is alone. */
  #headStart = true
  #notice = (): void => {}

  constructor(init: DialInit, target: DialTarget) {
    this.#init = init
    this.#target = target
    this.#countdown = new Countdown(init.clock, target.timeoutMs, () => this.#ended.abort(OUT_OF_TIME))
  }

  async run(): Promise<Dialled> {
    const { signal } = this.#target
    const cancel = (): void => this.#ended.abort(signal.reason)
    signal.throwIfAborted()
    signal.addEventListener('abort', cancel, { once: true })
    this.#countdown.resume()
    const cancelHeadStart = this.#init.clock.after(ATTEMPT_DELAY_MS, () => {
      this.#headStart = false
      this.#notice()
    })
    this.#target.addresses.forEach((address, rank) => this.#find(address, rank))
    try {
      return await this.#connect()
    } catch (err) {
      if (err !== OUT_OF_TIME) throw err
      this.#outOfTime()
      throw this.#error()
    } finally {
      signal.removeEventListener('abort', cancel)
      cancelHeadStart()
      this.#countdown.pause()
      // Whoever still waits for a name is not needed any more.
      this.#ended.abort(DONE)
    }
  }

  /** Rounds of attempts, until one succeeds or nothing is left. */
  async #connect(): Promise<Dialled> {
    const { places } = this.#init
    for (;;) {
      // Not awaited where there is nothing to wait for: a dial to an IP has its place before `run` returns.
      while (!this.#isReady()) await this.#change()
      if (this.#candidates.length === 0) throw this.#error()
      this.#countdown.pause()
      const leave = await places.enter(this.#ended.signal)
      this.#countdown.resume()
      try {
        const dialled = await this.#tryCandidates()
        if (dialled !== undefined) return dialled
      } finally {
        leave()
      }
    }
  }

  #isReady(): boolean {
    const [first] = this.#candidates
    if (this.#resolving.size === 0) return true
    if (first === undefined) return false
    return !this.#headStart || Math.min(...this.#resolving) > first.rank
  }

  /** Waits until more is known about names. */
  async #change(): Promise<void> {
    const { signal } = this.#ended
    signal.throwIfAborted()
    return new Promise((resolve, reject) => {
      const abort = (): void => reject(signal.reason as Error)
      signal.addEventListener('abort', abort, { once: true })
      this.#notice = () => {
        signal.removeEventListener('abort', abort)
        resolve()
      }
    })
  }

  /** An address becomes candidates: at once when it is an IP, when its name has been resolved otherwise. */
  #find(address: string, rank: number): void {
    const { kind, host, port } = parseDialAddress(address)
    const found = (ips: string[], name: (ip: string) => string): void => {
      const candidates = ips.map(ip => {
        const endpoint = { kind: ip.includes(':') ? 'ip6' : 'ip4', host: ip, port } as const
        return { address: toMultiaddr(endpoint), ip, rank, name: name(ip) }
      })
      this.#add(candidates)
    }
    if (kind === 'ip4' || kind === 'ip6') {
      found([host], () => address)
      return
    }
    this.#resolving.add(rank)
    const family = kind === 'dns4' ? 4 : kind === 'dns6' ? 6 : 0
    void this.#init.names
      .resolve(host, family, this.#ended.signal)
      .then(
        ips => found(ips, ip => `${address} (${ip})`),
        (err: unknown) => this.#unresolved(address, err)
      )
      .then(() => {
        // The names left at the end of the time are told.
        if (this.#ended.signal.aborted) return
        this.#resolving.delete(rank)
        this.#notice()
      })
  }

  /** Those that the allow list permits are tried: to others no socket is opened. */
  #add(candidates: Candidate[]): void {
    const permitted = candidates.filter(candidate => this.#permits(candidate))
    for (const candidate of permitted.slice(0, MAX_ADDRESSES_OF_NAME)) {
      if (!this.#candidates.some(({ address }) => address === candidate.address))
        this.#candidates.push(candidate)
    }
    this.#candidates.sort((a, b) => a.rank - b.rank)
  }

  #permits({ ip, name }: Candidate): boolean {
    const refusal = this.#init.forbids(ip)
    if (refusal === undefined) return true
    this.#fail({ why: 'denied', code: 'ERR_NOT_ALLOWED', text: `denied here: ${refusal}`, name, ip })
    return false
  }

  #unresolved(name: string, err: unknown): void {
    if (this.#ended.signal.aborted) return
    const text = `failed: the name cannot be resolved (${err instanceof NameError ? err.code : messageOf(err)})`
    this.#fail({ why: 'not-resolved', code: 'ERR_DIAL_FAILED', text, name, cause: err })
  }

  #fail(failure: Failure): void {
    this.#failures.push(failure)
  }

  /** Undefined: every candidate has failed. */
  async #tryCandidates(): Promise<Dialled | undefined> {
    const { clock, node } = this.#init
    const { peerId } = this.#target
    for (;;) {
      /** Those under way. */
      const attempts = new Set<Candidate>()
      const won = await race<Candidate, Opened>({
        clock,
        signal: this.#ended.signal,
        next: () => {
          let candidate
          // The list may have changed meanwhile.
          do candidate = this.#candidates.shift()
          while (candidate !== undefined && !this.#permits(candidate))
          if (candidate !== undefined) attempts.add(candidate)
          return candidate
        },
        connect: async ({ address }, signal) => node.open(address, peerId, signal),
        failed: (candidate, err) => {
          attempts.delete(candidate)
          this.#fail({ ...unconnected(err), ...about(candidate) })
        },
        discard: ({ connection }) => connection.abort(new Error('another connection was faster'))
      }).catch((err: unknown) => {
        this.#candidates.unshift(...attempts)
        throw err
      })
      if (won === undefined) return undefined
      this.#candidates.unshift(...won.cancelled)
      const dialled = await this.#shakeHands(won.address, won.connection)
      if (dialled !== undefined) return dialled
      if (this.#candidates.length === 0) return undefined
    }
  }

  /** Undefined when it has failed, the connection gone. */
  async #shakeHands(candidate: Candidate, opened: Opened): Promise<Dialled | undefined> {
    const { clock, node, takeDenial } = this.#init
    const { signal } = this.#ended
    const stage = new AbortController()
    const end = (): void => stage.abort(signal.reason)
    // A remote that is silent must not use up the time of the others.
    const isLast = this.#candidates.length === 0 && this.#resolving.size === 0
    const shareMs = Math.ceil(this.#countdown.leftMs / 2)
    const cancel = isLast ? () => {} : clock.after(shareMs, () => stage.abort(OUT_OF_TIME))
    if (signal.aborted) end()
    signal.addEventListener('abort', end, { once: true })
    takeDenial()
    let link: Link | undefined
    try {
      link = await node.dial(opened, stage.signal)
      return { link, stream: await link.openStream(stage.signal) }
    } catch (err) {
      const denial = takeDenial()
      const late = stage.signal.reason === OUT_OF_TIME && denial === undefined
      const ms = signal.aborted ? this.#target.timeoutMs : shareMs
      const failure: Failure = {
        ...(late
          ? timedOut(ms, link !== undefined)
          : explain(err, this.#target.peerId, link !== undefined, denial)),
        ...about(candidate)
      }
      // Whoever ended the dial may have closed the connection already, in an orderly way.
      if (link?.open === true) link.abort(lost(`dial to ${failure.name} ${failure.text}`))
      if (signal.aborted && signal.reason !== OUT_OF_TIME) throw signal.reason
      this.#fail(failure)
      return undefined
    } finally {
      cancel()
      signal.removeEventListener('abort', end)
    }
  }

  /** What has not been tried to its end has failed for lack of time. */
  #outOfTime(): void {
    const { addresses, timeoutMs } = this.#target
    for (const candidate of this.#candidates)
      this.#fail({ ...timedOut(timeoutMs, false), ...about(candidate) })
    for (const rank of this.#resolving) {
      const text = `timed out: the name was not resolved in ${timeoutMs} ms`
      this.#fail({ why: 'not-resolved', code: 'ERR_DIAL_FAILED', text, name: addresses[rank]! })
    }
  }

  /** One error that names every failure; it is as bad as the most telling one. */
  #error(): DialError {
    const failures = this.#failures
    const { why, code, cause } = failures.toSorted((a, b) => rankOf(a) - rankOf(b))[0]!
    if (failures.length === 1) {
      const [{ name, text, ip }] = failures as [Failure]
      const message = code === 'ERR_PEER_MISMATCH' ? `${name} ${text}` : `dial to ${name} ${text}`
      return new DialError(why, message, code, { cause, ip })
    }
    const told = failures.slice(0, MAX_FAILURES_TOLD).map(({ name, text }) => `${name} ${text}`)
    if (failures.length > told.length) told.push(`${failures.length - told.length} more`)
    return new DialError(why, `dial to ${this.#target.peerId} failed: ${told.join('; ')}`, code, { cause })
  }
}

/** Time that is left, and stands still while it is paused. */
class Countdown {
  readonly #clock: Clock
  readonly #over: () => void
  #left: number
  #running: { since: number; cancel: Cancel } | undefined

  constructor(clock: Clock, ms: number, over: () => void) {
    this.#clock = clock
    this.#left = ms
    this.#over = over
  }

  /** In milliseconds. */
  get leftMs(): number {
    const passed = this.#running === undefined ? 0 : this.#clock.now() - this.#running.since
    return Math.max(0, this.#left - passed)
  }

  resume(): void {
    this.#running ??= { since: this.#clock.now(), cancel: this.#clock.after(this.#left, this.#over) }
  }

  pause(): void {
    this.#left = this.leftMs
    this.#running?.cancel()
    this.#running = undefined
  }
}

/** Reasons of signals, told apart by what they are. */
const OUT_OF_TIME = new Error('the time is over')
const DONE = new Error('the dial is over')

/**
 * The most telling failure first: what another than the peer proved, what the peer said, what the network said. That an
 * address was not tried says little about one that was.
 */
const BY_WEIGHT: ReadonlyArray<DialFailure | P2pErrorCode> = [
  'ERR_PEER_MISMATCH',
  'mismatch',
  'denied',
  'timed-out',
  'refused',
  'unreachable',
  'ERR_NOT_ALLOWED',
  'not-resolved'
]

function rankOf({ why, code }: Failure): number {
  return BY_WEIGHT.indexOf(code === 'ERR_DIAL_FAILED' ? why : code)
}

function about({ name, ip }: Candidate): Pick<Failure, 'name' | 'ip'> {
  return { name, ip }
}

type Explanation = Omit<Failure, 'name' | 'ip'>

function timedOut(ms: number, connected: boolean): Explanation {
  const missing = connected ? 'connected, but not admitted' : 'no connection'
  return { why: 'timed-out', code: 'ERR_DIAL_FAILED', text: `timed out: ${missing} in ${ms} ms` }
}

function failed(why: DialFailure, what: string, cause: unknown): Explanation {
  return { why, code: 'ERR_DIAL_FAILED', text: `failed: ${what}`, cause }
}

/** Why there is no TCP connection. */
function unconnected(err: unknown): Explanation {
  const code = errorCode(err)
  switch (code) {
    case 'ECONNREFUSED':
      return failed('refused', 'connection refused: nothing listens there', err)
    case 'ECONNRESET':
      return failed('denied', `the handshake did not complete: ${REMOTE_CLOSED}`, err)
    case 'ETIMEDOUT':
      return failed('timed-out', 'timed out: no answer', err)
    default:
      return failed('unreachable', `unreachable (${code ?? messageOf(err)})`, err)
  }
}

/** Why a TCP connection has not led to admission. */
function explain(err: unknown, wanted: string, connected: boolean, denial?: Denial): Explanation {
  if (
    denial?.reason === 'peer-mismatch' ||
    messageOf(err).includes('does not match expected remote identity key')
  ) {
    const actual = denial?.peerId === undefined ? 'another peer' : denial.peerId
    return { why: 'mismatch', code: 'ERR_PEER_MISMATCH', text: `is ${actual}, wanted ${wanted}`, cause: err }
  }
  if (denial !== undefined) {
    return { why: 'denied', code: 'ERR_NOT_ALLOWED', text: `denied here: ${denialText(denial)}`, cause: err }
  }
  if (connected) {
    return isUnsupported(err)
      ? failed('mismatch', `the node there does not speak ${PROTOCOL_ID}`, err)
      : failed('denied', 'denied by the remote: it closed the connection without admitting this node', err)
  }
  const what = `the handshake did not complete: ${messageOf(err)}`
  return failed(messageOf(err).includes(REMOTE_CLOSED) ? 'denied' : 'mismatch', what, err)
}

function isUnsupported(err: unknown): boolean {
  return err instanceof Error && err.name === 'UnsupportedProtocolError'
}

function errorCode(err: unknown): string | undefined {
  const code = typeof err === 'object' && err !== null && 'code' in err ? err.code : undefined
  return typeof code === 'string' ? code : undefined
}
