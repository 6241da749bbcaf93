import { readdirSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { expect, test } from 'vitest'
import { createControlBlock, Word } from '../../src/bridge/control-block.ts'
import { createLog, LOG_LEVELS } from '../../src/log.ts'
import type { LogRecord } from '../../src/log.ts'
import { resolveOptions } from '../../src/options.ts'
import { Allowance } from '../../src/rate-limiter/index.ts'
import { boundedLog } from '../../src/runtime/event-log.ts'
import { MAX_UNREAD_LOG_RECORDS } from '../../src/runtime/limits.ts'
import { LogWriter } from '../../src/runtime/log-writer.ts'

function kept(from: (typeof LOG_LEVELS)[number] | undefined): {
  records: LogRecord[]
  log: ReturnType<typeof createLog>
} {
  const records: LogRecord[] = []
  return {
    records,
    log: createLog(
      from,
      record => records.push(record),
      () => 7
    )
  }
}

test('a level that is off is absent, so that nothing is made for it', () => {
  for (const [index, level] of LOG_LEVELS.entries()) {
    expect(Object.keys(kept(level).log)).toEqual(LOG_LEVELS.slice(index))
  }
  const { log } = kept(undefined)
  const costly = (): never => {
    throw new Error('was made')
  }
  log.error?.('stopped', { failed: costly() })
  expect(Object.keys(log)).toEqual([])
})

test('a record has time, level, event and those fields that are known', () => {
  const { log, records } = kept('debug')
  log.warn?.('barred', { peerId: undefined, ip: '127.0.0.1', cause: 'unknown-peer' })
  expect(records).toEqual([
    { time: 7, level: 'warn', event: 'barred', ip: '127.0.0.1', cause: 'unknown-peer' }
  ])
})

test('text of others is cut off, and does nothing to a line or a terminal', () => {
  const { log, records } = kept('debug')
  log.info?.('charged', { evidence: 'a\nb\u001B[2Jc\u2028d\u0085e' })
  log.info?.('charged', { evidence: 'x'.repeat(512) })
  log.info?.('charged', { evidence: 'x'.repeat(513) })
  expect(records.map(({ evidence }) => evidence)).toEqual([
    'a�b�[2Jc�d�e',
    'x'.repeat(512),
    `${'x'.repeat(511)}…`
  ])
})

test('what runs at once crosses in one message, and what is not taken is bounded and counted', () => {
  const control = createControlBlock()
  const posted: LogRecord[][] = []
  const soon: Array<() => void> = []
  const writer = new LogWriter({
    control,
    level: 'info',
    post: records => posted.push(records),
    soon: action => soon.push(action),
    time: () => 7
  })
  writer.log.info?.('started', {})
  writer.log.info?.('stopped', {})
  expect(posted).toEqual([])
  for (const action of soon.splice(0)) action()
  expect(posted.map(records => records.length)).toEqual([2])
  writer.flush()
  expect(posted).toHaveLength(1)

  for (let i = 2; i < MAX_UNREAD_LOG_RECORDS + 3; i++) writer.log.info?.('started', {})
  writer.flush()
  expect(posted[1]).toHaveLength(MAX_UNREAD_LOG_RECORDS - 2)
  expect(Atomics.load(control, Word.logUnread)).toBe(MAX_UNREAD_LOG_RECORDS)
  // Room for one is not enough for it and for what is to be said before it.
  Atomics.sub(control, Word.logUnread, 1)
  writer.log.info?.('stopped', {})
  writer.flush()
  expect(posted).toHaveLength(2)
  Atomics.sub(control, Word.logUnread, 1)
  writer.log.info?.('stopped', {})
  writer.flush()
  expect(posted[2]).toMatchObject([
    { event: 'records-left-out', level: 'warn', count: 4 },
    { event: 'stopped' }
  ])
})

test('what strangers bring about is told at a bounded rate, and how much was left out', () => {
  let time = 0
  const { log, records } = kept('info')
  const bounded = boundedLog(log, new Allowance({ capacity: 2, refillPerSecond: 1, clock: () => time }))
  for (let i = 0; i < 5; i++) bounded.warn?.('connection-denied', { i })
  expect(records.map(({ i }) => i)).toEqual([0, 1])
  time = 1_000
  bounded.warn?.('connection-denied', { i: 5 })
  expect(records.slice(2)).toMatchObject([{ event: 'records-left-out', count: 3 }, { i: 5 }])
})

test('the options are a function and a level', () => {
  const log = (): void => {}
  expect(resolveOptions({}).logLevel).toBeUndefined()
  expect(resolveOptions({ logLevel: 'debug' }).logLevel).toBeUndefined()
  expect(resolveOptions({ log }).logLevel).toBe('info')
  expect(resolveOptions({ log, logLevel: 'warn' }).logLevel).toBe('warn')
  expect(() => resolveOptions({ log: 'stderr' as never })).toThrow(
    expect.objectContaining({ code: 'ERR_INVALID_OPTION', message: "log is 'stderr', wanted a function" })
  )
  expect(() => resolveOptions({ log, logLevel: 'loud' as never })).toThrow(
    "logLevel is 'loud', wanted 'debug', 'info', 'warn', 'error'"
  )
})

test('the document lists every event, at its levels, and no other', () => {
  const root = resolve(import.meta.dirname, '../..')
  const read = (path: string): string => readFileSync(resolve(root, path), 'utf8')
  const rows = read('docs/logs.md').matchAll(/^\| `(?<event>[a-z-]+)` +\| (?<levels>[a-z, ]+?) +\|/gm)
  const documented = Array.from(rows, ({ groups }) =>
    groups!['levels']!.split(', ').map(level => `${groups!['event']} ${level}`)
  )
  const sources = readdirSync(resolve(root, 'src/runtime')).map(name => read(`src/runtime/${name}`))
  const calls = sources.join('\n').matchAll(/\.(?<level>debug|info|warn|error)\?\.\(\s*'(?<event>[a-z-]+)'/g)
  const made = Array.from(calls, ({ groups }) => `${groups!['event']} ${groups!['level']}`)
  expect([...new Set(made)].toSorted()).toEqual(documented.flat().toSorted())
  const names = Array.from(read('src/log.ts').matchAll(/^ {2}\| '([a-z-]+)'/gm), ([, name]) => name!)
  expect(names.toSorted()).toEqual([...new Set(made.map(line => line.split(' ')[0]!))].toSorted())
})
