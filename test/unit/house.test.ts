import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { VERSION } from '../../src/version.ts'

/** Rooms by layer (docs/architecture.md): a room imports from lower layers only, never from its neighbours. */
const LAYERS: Record<string, number> = {
  'errors.ts': 0,
  'outcomes.ts': 0,
  'intrinsics.ts': 0,
  'log.ts': 0,
  'version.ts': 0,
  'clock.ts': 0,
  memory: 0,
  'places.ts': 0,
  'deadline.ts': 1,
  framing: 1,
  identity: 1,
  addresses: 1,
  'rate-limiter': 1,
  'allow-list': 2,
  protocol: 2,
  names: 2,
  'options.ts': 3,
  gater: 3,
  bridge: 4,
  libp2p: 4,
  runtime: 5,
  application: 5,
  'p2p.ts': 6,
  'index.ts': 7,
  demo: 8,
  cli: 9
}

const src = resolve(import.meta.dirname, '../../src')

function filesIn(folder: string): string[] {
  return readdirSync(folder).flatMap(name => {
    const path = join(folder, name)
    return statSync(path).isDirectory() ? filesIn(path) : [path]
  })
}

function roomOf(path: string): string {
  return relative(src, path).split('/')[0]!
}

/** What others replace, and where their own comes from (src/intrinsics.ts). */
const REPLACEABLE =
  /(?<![\w$#'-])(?:performance|Date|hrtime|nextTick|queueMicrotask|structuredClone|(?:set|clear)(?:Timeout|Interval|Immediate))(?![\w$'-])/g

/** Where each thread begins. */
const APPLICATION = join(src, 'index.ts')
const RUNTIME = join(src, 'runtime/worker.ts')

/** Rooms below the bridge that are code of both threads: they know neither of them. */
const COMMON = [
  'addresses',
  'allow-list',
  'errors.ts',
  'framing',
  'identity',
  'log.ts',
  'memory',
  'version.ts'
]

/** The files that run where this one does: those that it leads to. Types lead nowhere. */
function ledToBy(file: string, found = new Set<string>()): Set<string> {
  if (found.has(file)) return found
  found.add(file)
  const text = readFileSync(file, 'utf8')
  for (const [, target] of text.matchAll(/^(?:import|export) (?!type )[^;]*?from '(\.[^']+)'/gm)) {
    ledToBy(resolve(file, '..', target!), found)
  }
  return found
}

const imports = filesIn(src).flatMap(file =>
  Array.from(readFileSync(file, 'utf8').matchAll(/(?:from|import)\s*\(?\s*'(?<target>[^']+)'/g), match => ({
    file,
    target: match.groups!['target']!
  }))
)

test('the version that the threads compare is the package’s', () => {
  const { version } = JSON.parse(readFileSync(join(src, '../package.json'), 'utf8')) as { version: string }
  expect(VERSION).toBe(version)
})

test('every room has a layer', () => {
  const rooms = new Set(filesIn(src).map(roomOf))
  expect(Object.keys(LAYERS).toSorted()).toEqual([...rooms].toSorted())
})

test('imports run down: from a higher layer to a lower one, never between neighbours', () => {
  const wrong = imports
    .filter(({ target }) => target.startsWith('.'))
    .map(({ file, target }) => ({ file, from: roomOf(file), to: roomOf(resolve(file, '..', target)) }))
    .filter(({ from, to }) => from !== to && LAYERS[to]! >= LAYERS[from]!)
  expect(wrong).toEqual([])
})

test('a room is entered by its index', () => {
  const wrong = imports.filter(({ file, target }) => {
    if (!target.startsWith('.')) return false
    const path = resolve(file, '..', target)
    const inRoom = relative(src, path).includes('/')
    // The application's side has no index: p2p.ts is what uses it.
    return (
      inRoom && roomOf(path) !== roomOf(file) && !path.endsWith('/index.ts') && roomOf(path) !== 'application'
    )
  })
  expect(wrong).toEqual([])
})

test('the demo and the command line use what everybody can use', () => {
  const wrong = imports
    .filter(({ target }) => target.startsWith('.'))
    .map(({ file, target }) => ({ from: roomOf(file), to: roomOf(resolve(file, '..', target)) }))
    .filter(({ from, to }) => ['cli', 'demo'].includes(from) && !['index.ts', 'demo', from].includes(to))
  expect(wrong).toEqual([])
})

test('libp2p is constructed in one room, and the application has none of it', () => {
  const heavy = imports.filter(({ target }) => /^(libp2p|@libp2p\/tcp|@chainsafe\/)/.test(target))
  expect([...new Set(heavy.map(({ file }) => roomOf(file)))]).toEqual(['libp2p'])
  const application = imports.filter(({ file }) => ['p2p.ts', 'application', 'bridge'].includes(roomOf(file)))
  expect(application.filter(({ target }) => /libp2p|multiaddr/.test(target))).toEqual([])
})

test('the halves meet in bridge/ alone: what else both threads run are rooms below, which know of neither', () => {
  const runtime = ledToBy(RUNTIME)
  const shared = [...ledToBy(APPLICATION)].filter(file => runtime.has(file)).map(roomOf)
  expect(shared).toContain('bridge')
  expect(shared.filter(room => room !== 'bridge' && !COMMON.includes(room))).toEqual([])
  expect(COMMON.filter(room => LAYERS[room]! >= LAYERS['bridge']!)).toEqual([])
})

test('the application’s thread takes time and turns from intrinsics.ts, never from globals that others replace', () => {
  const files = ledToBy(APPLICATION)
  files.delete(join(src, 'intrinsics.ts'))
  expect(files).toContain(join(src, 'application/receiver.ts'))
  expect(files).toContain(join(src, 'application/runtime-thread.ts'))
  const wrong = [...files].flatMap(file => {
    const text = readFileSync(file, 'utf8').replaceAll(/\/\*[^]*?\*\/|\/\/.*$|'[^'\n]*'/gm, '')
    const taken =
      /import \{(?<names>[^}]*)\} from '[./]*intrinsics\.ts'/.exec(readFileSync(file, 'utf8'))?.groups![
        'names'
      ] ?? ''
    return Array.from(text.matchAll(REPLACEABLE), ([name]) => name)
      .filter(name => !taken.split(',').some(known => known.trim() === name))
      .map(name => `${relative(src, file)}: ${name}`)
  })
  expect(wrong).toEqual([])
})

test('the documents list every room in its layer, and every decision with its status', () => {
  const document = (name: string): string => readFileSync(join(src, '../docs', name), 'utf8')
  const listed = Array.from(
    document('architecture.md').matchAll(/^\| (?<layer>\d) +\| (?<rooms>[^|]+)/gm),
    match =>
      Array.from(match.groups!['rooms']!.matchAll(/`([\w.-]+)\/?`/g), ([, room]) => [
        room!,
        Number(match.groups!['layer'])
      ])
  )
  expect(Object.fromEntries(listed.flat())).toEqual(LAYERS)
  const records = readdirSync(join(src, '../docs/decisions')).filter(name => /^\d/.test(name))
  const index = Array.from(
    document('decisions/README.md').matchAll(/^\| \[\d+\]\((\S+)\) +\|[^|]+\| +(?:in force|replaced)/gm)
  )
  expect(index.map(([, record]) => record)).toEqual(records)
})
