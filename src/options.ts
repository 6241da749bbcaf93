import { resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { AllowListContent } from './allow-list/index.ts'
import { P2pError, shown } from './errors.ts'
import { MAX_FRAME_BYTES } from './framing/index.ts'
import { LOG_LEVELS } from './log.ts'
import type { LogLevel, LogRecord } from './log.ts'
import type { MisbehaviourCause } from './outcomes.ts'

/** Tokens that each cause costs unless configured otherwise; a cause that is missing here does not compile. */
const DEFAULT_COSTS: Record<MisbehaviourCause, number> = {
  'failed-handshake': 1,
  'ip-mismatch': 1,
  'unknown-peer': 1,
  'malformed-message': 1,
  'unanswered-ack': 1,
  'protocol-abuse': 1
}

/** What costs tokens; see the `ConnectionLimit` event. */
export const MISBEHAVIOUR_CAUSES: readonly MisbehaviourCause[] = Object.keys(
  DEFAULT_COSTS
) as MisbehaviourCause[]

/** Limits of a `P2p`. Each is a whole number in the range given; beyond it `start` throws ERR_INVALID_OPTION. */
export interface Limits {
  /** Largest message, sent or received, in bytes: 1 to 268,435,455. @default 8_388_608 */
  maxMessageBytes: number
  /**
   * Response time: how long a peer may take to answer a message, in milliseconds, 1 to 2^31 − 1. Large messages get
   * more, at the rate by which the largest must arrive in `messageTimeoutMs`. @default 10_000
   */
  ackTimeoutMs: number
  /** One frame, first byte to last, in milliseconds, 1 to 2^31 − 1. @default 30_000 */
  messageTimeoutMs: number
  /**
   * A connection from its first byte until it is admitted, in milliseconds; a dial from the look-up of its names on, at all
   * its addresses together. 1 to 2^31 − 1. @default 5_000
   */
  handshakeTimeoutMs: number
  /** Unread messages in the receiver channel, 1 to 2^30. @default 65_536 */
  receiverMessages: number
  /**
   * Their bytes, 1 to 2^30. A message that has more enters all the same when there is no other in the channel; and while
   * it arrives, each connection may hold one of `maxMessageBytes`. @default 67_108_864 (64 MiB), or `maxMessageBytes` if
   * that is more
   */
  receiverBytes: number
  /** Messages to one peer whose Status has not been read, 1 to 2^30. @default 65_536 */
  senderMessages: number
  /**
   * Their bytes, 1 to 2^30. A message that has more is taken all the same when it is the only one.
   * @default 67_108_864 (64 MiB), or `maxMessageBytes` if that is more
   */
  senderBytes: number
  /** Connections, in all, 1 to 65,536. @default 1_024 */
  maxConnections: number
}

/**
 * After so long without a byte from a peer it is asked for a sign of life, and after three of them its connection ends, in
 * milliseconds.
 */
const HEARTBEAT = { default: 10_000, min: 1_000, max: 600_000 }

/** The token buckets of the rate limiter. */
export interface RateLimit<Cause extends string = MisbehaviourCause> {
  /** Tokens in a full bucket, above 0 and at most 1,000,000. @default 10 */
  capacity: number
  /** Tokens that come back each second, 0 to 1,000,000; fractions count. @default 0.1 */
  refillPerSecond: number
  /** Tokens that each cause costs, 0 to 1,000,000. @default 1 each */
  costs: Record<Cause, number>
}

/** Any part of `T`, at every level. `undefined` is the same as left out. */
export type Given<T> = { [Name in keyof T]?: (T[Name] extends object ? Given<T[Name]> : T[Name]) | undefined }

/** What a caller of `P2p.start` may set; everything has a safe default, which `undefined` leaves in place. */
export interface P2pOptions {
  /** Who may connect and be dialled. @default [] (nobody): a network is opened by name, never by omission */
  allowList?: AllowListContent | undefined
  /** How much misbehaviour a peer or an address may afford. */
  rateLimit?: Given<RateLimit> | undefined
  /** Sizes, times and amounts. */
  limits?: Given<Limits> | undefined
  /**
   * A peer of which nothing is heard for so long, in milliseconds, is asked for a sign of life; after three times as long
   * its connection ends with `Disconnected`, `code: 'silent'`. 1,000 to 600,000; 0: off. @default 10_000
   */
  heartbeatMs?: number | undefined
  /**
   * The network thread's file, for programs that are bundled: a `file:` URL or a path, of a copy of `bitvmx-p2p/worker`
   * of the same version (docs/bundling.md). @default beside the package's own code
   */
  workerUrl?: string | URL | undefined
  /**
   * Called for each record of the log, in a turn of the event loop or when a channel is read, on the caller's thread. It
   * may use the node; what it throws is thrown in a turn of its own. @default none: then nothing is made to be told
   */
  log?: ((record: LogRecord) => void) | undefined
  /** The least urgent level that `log` is called for. @default 'info' */
  logLevel?: LogLevel | undefined
}

/** The options with every default filled in. */
export interface ResolvedOptions {
  allowList: AllowListContent
  rateLimit: RateLimit
  limits: Limits
  heartbeatMs: number
  /** A `file:` URL. */
  workerUrl: string | undefined
  /** Undefined: nothing is told. */
  logLevel: LogLevel | undefined
}

const MIB = 1024 * 1024
const MAX_TIMER_MS = 2 ** 31 - 1
/** Credits are counted in 32-bit words of shared memory; half their range keeps differences unambiguous. */
const MAX_CREDIT = 2 ** 30

/**
 * Fills in defaults and checks every value. The one place where options are validated.
 *
 * @throws P2pError ERR_INVALID_OPTION naming option, range and the value received
 */
export function resolveOptions(options: P2pOptions = {}): ResolvedOptions {
  assertKeys(options, 'options', OPTION_NAMES)
  const { allowList = [] } = options
  if (allowList !== 'allow-all' && !Array.isArray(allowList)) {
    throw invalid('allowList', allowList, "an array of entries, or 'allow-all'")
  }
  return {
    allowList,
    rateLimit: resolveRateLimit(options.rateLimit),
    limits: resolveLimits(options.limits),
    heartbeatMs: resolveHeartbeat(options.heartbeatMs),
    workerUrl: resolveWorkerUrl(options.workerUrl),
    logLevel: resolveLogLevel(options.log, options.logLevel)
  }
}

const OPTION_NAMES: ReadonlyArray<keyof P2pOptions> = [
  'allowList',
  'rateLimit',
  'limits',
  'heartbeatMs',
  'workerUrl',
  'log',
  'logLevel'
]

function resolveLogLevel(log: unknown, level: unknown = 'info'): LogLevel | undefined {
  if (log !== undefined && typeof log !== 'function') throw invalid('log', log, 'a function')
  const known = LOG_LEVELS.find(name => name === level)
  if (known === undefined) throw invalid('logLevel', level, LOG_LEVELS.map(name => `'${name}'`).join(', '))
  return log === undefined ? undefined : known
}

function resolveHeartbeat(value: unknown = HEARTBEAT.default): number {
  const { min, max } = HEARTBEAT
  if (value === 0) return 0
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value
  throw invalid('heartbeatMs', value, `a whole number from ${min} to ${max}, or 0 for none`)
}

function resolveWorkerUrl(given: unknown): string | undefined {
  if (given === undefined) return undefined
  try {
    // not instanceof URL: a test runner's realm has a URL of its own
    const text: unknown = typeof given === 'object' ? (given as URL).href : given
    if (typeof text === 'string' && text !== '' && text.length <= MAX_PATH_LENGTH) {
      // Through a path, which refuses the URL of anything but a file.
      return pathToFileURL(URL_SCHEME.test(text) ? fileURLToPath(text) : resolve(text)).href
    }
  } catch {
    // It is no URL of a file, or something that only looks like one.
  }
  throw invalid('workerUrl', given, WORKER_URL)
}

/** In characters: what Linux takes. */
const MAX_PATH_LENGTH = 4_096
/** Of two letters and more: one is a drive of Windows. */
const URL_SCHEME = /^[a-z][a-z\d+.-]+:/i
const WORKER_URL = 'a file: URL or a path'

function resolveLimits(limits: Given<Limits> = {}): Limits {
  const given = limits as Record<string, unknown>
  assertKeys(given, 'limits', LIMIT_NAMES)
  const whole = (name: keyof Limits, fallback: number, min: number, max: number): number => {
    const { [name]: value = fallback } = given
    if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value
    throw invalid(`limits.${name}`, value, `a whole number from ${min} to ${max}`)
  }
  const maxMessageBytes = whole('maxMessageBytes', 8 * MIB, 1, MAX_FRAME_BYTES)
  const channelBytes = Math.max(64 * MIB, maxMessageBytes)
  return {
    maxMessageBytes,
    ackTimeoutMs: whole('ackTimeoutMs', 10_000, 1, MAX_TIMER_MS),
    messageTimeoutMs: whole('messageTimeoutMs', 30_000, 1, MAX_TIMER_MS),
    handshakeTimeoutMs: whole('handshakeTimeoutMs', 5_000, 1, MAX_TIMER_MS),
    receiverMessages: whole('receiverMessages', 65_536, 1, MAX_CREDIT),
    receiverBytes: whole('receiverBytes', channelBytes, 1, MAX_CREDIT),
    senderMessages: whole('senderMessages', 65_536, 1, MAX_CREDIT),
    senderBytes: whole('senderBytes', channelBytes, 1, MAX_CREDIT),
    maxConnections: whole('maxConnections', 1_024, 1, 65_536)
  }
}

const LIMIT_NAMES: ReadonlyArray<keyof Limits> = [
  'maxMessageBytes',
  'ackTimeoutMs',
  'messageTimeoutMs',
  'handshakeTimeoutMs',
  'receiverMessages',
  'receiverBytes',
  'senderMessages',
  'senderBytes',
  'maxConnections'
]

function resolveRateLimit(rateLimit: Given<RateLimit> = {}): RateLimit {
  assertKeys(rateLimit, 'rateLimit', ['capacity', 'refillPerSecond', 'costs'])
  const { capacity = 10, refillPerSecond = 0.1, costs = {} } = rateLimit
  assertKeys(costs, 'rateLimit.costs', MISBEHAVIOUR_CAUSES)
  const amount = (name: string, value: unknown): number => {
    if (typeof value === 'number' && value >= 0 && value <= 1_000_000) return value
    throw invalid(`rateLimit.${name}`, value, 'a number from 0 to 1000000')
  }
  if (capacity === 0) throw invalid('rateLimit.capacity', capacity, 'a number above 0, up to 1000000')
  return {
    capacity: amount('capacity', capacity),
    refillPerSecond: amount('refillPerSecond', refillPerSecond),
    costs: Object.fromEntries(
      MISBEHAVIOUR_CAUSES.map(cause => {
        const { [cause]: cost = DEFAULT_COSTS[cause] } = costs
        return [cause, amount(`costs.${cause}`, cost)]
      })
    ) as RateLimit['costs']
  }
}

/** A misspelt option would silently leave a safe-looking default in place: it is an error. */
function assertKeys(value: unknown, name: string, known: readonly string[]): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalid(name, value, 'an object')
  for (const key of Object.keys(value)) {
    if (!known.includes(key)) {
      throw new P2pError(
        'ERR_INVALID_OPTION',
        `${name} has no setting ${shown(key)}; it has ${known.join(', ')}`
      )
    }
  }
}

function invalid(name: string, value: unknown, wanted: string): P2pError {
  return new P2pError('ERR_INVALID_OPTION', `${name} is ${shown(value)}, wanted ${wanted}`)
}
