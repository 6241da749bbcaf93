import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { expect, test } from 'vitest'

/** Rooms by layer (docs/architecture.md): a room imports from lower layers only, never from its neighbours. */
const LAYERS: Record<string, number> = {
  'errors.ts': 0,
  'clock.ts': 0,
  'copy.ts': 0,
  'parts.ts': 0,
  'slabs.ts': 0,
  'release.ts': 0,
  'deadline.ts': 1,
  framing: 1,
  identity: 1,
  addresses: 1,
  'rate-limiter': 1,
  'allow-list': 2,
  protocol: 2,
  'options.ts': 3,
  gater: 3,
  channels: 4,
  node: 4,
  runtime: 5,
  application: 5,
  'p2p.ts': 6,
  'index.ts': 7,
  cli: 8
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

const imports = filesIn(src).flatMap(file =>
  Array.from(readFileSync(file, 'utf8').matchAll(/(?:from|import)\s*\(?\s*'(?<target>[^']+)'/g), match => ({
    file,
    target: match.groups!['target']!
  }))
)

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

test('libp2p is constructed in one room, and the application has none of it', () => {
  const heavy = imports.filter(({ target }) => /^(libp2p|@libp2p\/tcp|@chainsafe\/)/.test(target))
  expect([...new Set(heavy.map(({ file }) => roomOf(file)))]).toEqual(['node'])
  const application = imports.filter(({ file }) =>
    ['p2p.ts', 'application', 'channels'].includes(roomOf(file))
  )
  expect(application.filter(({ target }) => /libp2p|multiaddr/.test(target))).toEqual([])
})
