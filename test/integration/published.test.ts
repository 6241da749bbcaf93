import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { join } from 'node:path/posix'
import { parseAst } from 'rolldown/parseAst'
import { beforeAll, expect, test } from 'vitest'
import { isNode } from '../../build/syntax.ts'
import type { Node } from '../../build/syntax.ts'

/** Where a program enters: by import, by require, from the shell; and the network thread. */
const ENTRIES = ['dist/index.js', 'dist/index.cjs', 'dist/cli/main.js', 'dist/worker/worker.mjs']

interface Manifest {
  dependencies: Record<string, string>
}

const manifest = readJson('package.json') as Manifest
let published: string[]

beforeAll(() => {
  const json = execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { encoding: 'utf8' })
  const [{ files }] = JSON.parse(json) as [{ files: Array<{ path: string }> }]
  published = files.map(({ path }) => path)
})

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(path, 'utf8'))
}

/** Code that the entries lead to, and the packages it imports. */
function reach(): { files: Set<string>; packages: Set<string> } {
  const files = new Set(ENTRIES)
  const packages = new Set<string>()
  for (const file of files) {
    for (const target of targetsIn(parseAst(readFileSync(file, 'utf8')) as unknown as Node)) {
      if (/^\.\.?\/.*\.[cm]?js$/.test(target)) files.add(join(file, '..', target))
      else if (!target.startsWith('.')) packages.add(/^(?:@[^/]+\/)?[^/]+/.exec(target)![0])
    }
  }
  return { files, packages }
}

/** What a module imports, exports from elsewhere, requires, or names by a URL of its own. */
function* targetsIn(node: Node): Generator<string> {
  const { source, callee, arguments: args } = node as Node & Record<string, unknown>
  const named =
    isNode(callee) && ['require', 'URL'].includes(callee['name'] as string) ? (args as unknown[])[0] : source
  if (isNode(named) && typeof named['value'] === 'string') yield named['value']
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? value : [value]) if (isNode(child)) yield* targetsIn(child)
  }
}

test('the code that is published is the code that can be reached', () => {
  const code = published.filter(path => /\.[cm]?js$/.test(path) && !isEmpty(path))
  expect(code.toSorted()).toEqual([...reach().files].toSorted())
})

/** Whether nothing is left of a module when its types are gone. */
function isEmpty(path: string): boolean {
  return readFileSync(path, 'utf8').trim() === 'export {};'
}

test('what the published code imports is a dependency, and every dependency is imported', () => {
  const { packages } = reach()
  const external = [...packages].filter(name => !isBuiltin(name))
  expect(external.toSorted()).toEqual(Object.keys(manifest.dependencies).toSorted())
})

test('beside it stand the types, what is in the bundle, documents, and no source map', () => {
  const others = published.filter(path => !/\.[cm]?js$/.test(path) && !path.startsWith('docs/'))
  expect(others.toSorted()).toEqual([
    'LICENSE',
    'README.md',
    'dist/types/index.d.cts',
    'dist/types/index.d.ts',
    'dist/worker/LICENSES.txt',
    'dist/worker/bom.cdx.json',
    'package.json'
  ])
  for (const path of published.filter(name => name.endsWith('js'))) {
    expect(readFileSync(path, 'utf8')).not.toContain('sourceMappingURL')
  }
})

interface Component {
  name: string
  version: string
  purl: string
  hashes: Array<{ alg: string; content: string }>
  licenses: Array<{ license?: { id: string }; expression?: string }>
}

test('the bill of materials has what package-lock.json has, and what was put into the bundle', () => {
  const { components } = readJson('dist/worker/bom.cdx.json') as { components: Component[] }
  const { packages } = readJson('package-lock.json') as { packages: Record<string, Record<string, string>> }
  for (const { name, version, purl, hashes, licenses } of components) {
    const locked = Object.entries(packages).filter(
      ([path, entry]) => path.endsWith(`node_modules/${name}`) && entry['version'] === version
    )
    expect(locked, `${name} ${version}`).not.toEqual([])
    expect(purl).toBe(`pkg:npm/${name.replace('@', '%40')}@${version}`)
    const [{ alg, content }] = hashes as [Component['hashes'][number]]
    expect(`${alg} ${content}`).toBe(
      `SHA-512 ${Buffer.from(locked[0]![1]['integrity']!.slice('sha512-'.length), 'base64').toString('hex')}`
    )
    expect(licenses.map(({ license, expression }) => license?.id ?? expression)).toEqual([
      locked[0]![1]['license']
    ])
  }
  const names = components.map(({ name }) => name)
  const purls = components.map(({ purl }) => purl)
  expect(purls).toEqual([...new Set(purls)])
  const told = readFileSync('dist/worker/LICENSES.txt', 'utf8')
  for (const { name, version } of components) expect(told).toContain(`${name} ${version}: `)
  expect(names).toEqual(
    expect.arrayContaining([
      ...['libp2p', '@libp2p/tcp', '@chainsafe/libp2p-noise', '@chainsafe/libp2p-yamux'],
      ...[
        '@libp2p/crypto',
        '@libp2p/peer-id',
        '@multiformats/multiaddr',
        'it-length-prefixed',
        'uint8arraylist'
      ]
    ])
  )
})

test('every public item has a doc comment', () => {
  const text = readFileSync('dist/types/index.d.cts', 'utf8')
  const items = [...publicItems(parseAst(text, { lang: 'dts' }) as unknown as Node, false)]
  const bare = items.filter(({ start }) => !/\*\/\s*\|?\s*$/.test(text.slice(0, start)))
  expect(bare.map(({ start, end }) => text.slice(start, end))).toEqual([])
  expect(items.length).toBeGreaterThan(150)
})

const MEMBERS = new Set([
  'TSPropertySignature',
  'TSMethodSignature',
  'PropertyDefinition',
  'MethodDefinition'
])

/** Declarations that are exported, their members at every depth, and the literals of unions of nothing else. */
function* publicItems(node: Node, exported: boolean): Generator<Node> {
  // What `#private` stands for is not told.
  if (
    node['accessibility'] === 'private' ||
    (isNode(node['key']) && node['key'].type === 'PrivateIdentifier')
  )
    return
  const { declaration } = node as Node & { declaration?: Node | null }
  const isExport = node.type === 'ExportNamedDeclaration' && isNode(declaration)
  if (isExport || (exported && MEMBERS.has(node.type))) yield node
  if (exported && node.type === 'TSTypeAliasDeclaration') yield* literalsOf(node['typeAnnotation'] as Node)
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? value : [value]) {
      if (isNode(child)) yield* publicItems(child, exported || isExport)
    }
  }
}

function* literalsOf(type: Node): Generator<Node> {
  const types = type.type === 'TSUnionType' ? (type['types'] as Node[]) : []
  if (types.every(({ type: kind }) => kind === 'TSLiteralType')) yield* types
}
