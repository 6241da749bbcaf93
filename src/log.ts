/** Levels of the log, least urgent first. */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const

/** How urgent a record of the log is. */
export type LogLevel = (typeof LOG_LEVELS)[number]

/** What the log tells of. The names are stable (docs/logs.md). */
export type LogEvent =
  /** the node listens */
  | 'started'
  /** the node's thread ends: it was stopped, or it failed */
  | 'stopped'
  /** a peer is reachable */
  | 'connected'
  /** a peer is no longer reachable */
  | 'disconnected'
  /** a connection has passed the local checks */
  | 'connection-opened'
  /** a connection has ended */
  | 'connection-closed'
  /** a connection was turned away, or something about connections needs attention */
  | 'connection-denied'
  /** a dial has begun */
  | 'dial-begun'
  /** a dial has come to nothing */
  | 'dial-failed'
  /** an offence was charged, or could not be paid */
  | 'charged'
  /** a peer or an address is barred from now on */
  | 'barred'
  /** the allow list was changed */
  | 'allow-list-changed'
  /** a task of the node's thread has failed: a defect */
  | 'task-failed'
  /** records were left out, because they came faster than they were taken or than is worth reading */
  | 'records-left-out'

/** One record of the log: what happened, and fields that depend on it. Never a key, never a payload. */
export interface LogRecord {
  /** In milliseconds since 1970. */
  time: number
  /** How urgent it is. */
  level: LogLevel
  /** What happened. */
  event: LogEvent
  /** What is known of it (docs/logs.md). */
  [field: string]: string | number | boolean
}

/** Fields of a record. Those that are undefined are left out. */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>

type Write = (event: LogEvent, fields: LogFields) => void

/**
 * Where a room tells what happens. A level that is off is absent: `log.debug?.('dial-begun', { peerId })` then costs the
 * look at it, and makes no object and no text.
 */
export type Log = Readonly<Partial<Record<LogLevel, Write>>>

/** A log of which nothing is read. */
export const NO_LOG: Log = Object.freeze({})

/** Longest text in a record, in characters; the rest is cut off, as others may have a say in it. */
const MAX_TEXT_LENGTH = 512

/** A log from a level on. `write` takes each record. */
export function createLog(
  from: LogLevel | undefined,
  write: (record: LogRecord) => void,
  time: () => number
): Log {
  if (from === undefined) return NO_LOG
  const levels = LOG_LEVELS.slice(LOG_LEVELS.indexOf(from))
  return Object.freeze(
    Object.fromEntries(
      levels.map((level): [LogLevel, Write] => [
        level,
        (event, fields) => write(recordOf(time(), level, event, fields))
      ])
    )
  )
}

function recordOf(time: number, level: LogLevel, event: LogEvent, fields: LogFields): LogRecord {
  const record: LogRecord = { time, level, event }
  for (const [name, value] of Object.entries(fields)) {
    if (value !== undefined) record[name] = typeof value === 'string' ? plainText(value) : value
  }
  return record
}

/** Text that fits on one line and does nothing to a terminal. */
function plainText(text: string): string {
  const cut = text.length > MAX_TEXT_LENGTH ? `${text.slice(0, MAX_TEXT_LENGTH - 1)}…` : text
  // oxlint-disable-next-line no-control-regex -- they are what is taken out
  return cut.replaceAll(/[\u0000-\u001F\u007F-\u009F\u2028\u2029]/g, '�')
}
