/**
 * What the house costs to read, before and after: `npm run count`, or `npm run count -- <revision> [<revision>]` for others
 * than the last one before `src/libp2p/` and the files as they are.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { missingStops, section, stopsIn } from './walk.ts'
import type { Stop } from './walk.ts'
import { commentsOf, nodesOf, statementsOf } from './syntax.ts'
import type { Node } from './syntax.ts'

/** The last revision with `src/node/`. */
const BEFORE = 'cd2c6ef'
/** The way of a message there, in the words of docs/architecture.md. */
const WAY_BEFORE = 'build/way-before.md'
const WAY = '## The way of a message'

/** Members of libp2p's objects that its interfaces have: what is set on them stands in front of a public seam. */
const PUBLIC = new Set([
  'addEventListener',
  'createListener',
  'createStreamMuxer',
  'dial',
  'listen',
  'merge',
  'removeEventListener',
  'secureInbound',
  'secureOutbound'
])
/** Through these a stream's bytes come in. */
const DATA_PATH = new Set(['onData', 'handleData', 'push'])
/** Words of the comments in which a part of an object is declared that its public type does not have. */
const PRIVATE_SHAPE = /\bparts? of (?:libp2p|upstream|the (?:yamux|muxer)|yamux|Node)\b/

/** A revision, or the files as they are. */
interface Tree {
  name: string
  files: () => string[]
  read: (file: string) => string | undefined
}

const git = (...args: string[]): string => execFileSync('git', args, { encoding: 'utf8', maxBuffer: 2 ** 26 })

function treeOf(revision: string | undefined): Tree {
  const names =
    revision === undefined
      ? git('ls-files', '-co', '--exclude-standard', 'src')
      : git('ls-tree', '-r', '--name-only', revision, 'src')
  const files = names.split('\n').filter(name => name.endsWith('.ts'))
  return {
    name: revision ?? 'now',
    files: () => files,
    read: file => {
      if (!files.includes(file)) return undefined
      return revision === undefined ? readFileSync(file, 'utf8') : git('show', `${revision}:${file}`)
    }
  }
}

interface Counts {
  figures: Record<string, number>
  /** What the figures that name things are made of. */
  made: Record<string, string[]>
}

function countsOf(tree: Tree, way: string): Counts {
  const folder = tree.files().some(file => file.startsWith('src/node/')) ? 'src/node/' : 'src/libp2p/'
  const sources = tree
    .files()
    .map(file => ({ file: file.slice('src/'.length), source: tree.read(file) ?? '' }))
    .toSorted((a, b) => (a.file < b.file ? -1 : 1))
  const room = sources.filter(({ file }) => `src/${file}`.startsWith(folder))
  const assigned = room.flatMap(({ file, source }) => setMembers(source).map(set => ({ ...set, file })))
  const foreign = assigned.filter(({ member, isOurs }) => !PUBLIC.has(member) && !isOurs)
  // One that is set and set back is one.
  const overrides = foreign.filter(
    (set, at) => foreign.findIndex(({ file, member }) => file === set.file && member === set.member) === at
  )
  const wrappers = overrides.filter(
    ({ member, object }) => DATA_PATH.has(member) && !/^(?:muxer|maConn)$/.test(object)
  )
  const shapes = room.flatMap(({ file, source }) => privateShapes(source).map(shape => ({ ...shape, file })))
  const weak = sources.flatMap(({ file, source }) =>
    Array.from(source.matchAll(/new Weak(?:Map|Set)\b/g), ([made]) => `${file}: ${made}`)
  )
  const sending = stopsIn(section(way, '### Sending'))
  const receiving = stopsIn(section(way, '### Receiving'))
  const ack = stopsIn(section(way, '### The ack'))
  const missing = missingStops([...sending, ...receiving, ...ack], file => tree.read(`src/${file}`))
  if (missing.length > 0) throw new Error(`the way of a message at ${tree.name}:\n${missing.join('\n')}`)
  const told = (set: { file: string; object: string; member: string }): string =>
    `${set.file}: ${set.object}.${set.member}`
  return {
    figures: {
      'non-public members that are overridden': overrides.length,
      'wrappers of one stream’s data path': wrappers.length,
      'private shapes declared': shapes.length,
      'members in them': new Set(
        shapes.flatMap(({ file, members }) => members.map(member => `${file} ${member}`))
      ).size,
      'files that declare them': new Set(shapes.map(({ file }) => file)).size,
      'WeakMaps and WeakSets, in all rooms': weak.length,
      'files a message passes, sending': filesOf(sending).size,
      'files a message passes, receiving': filesOf(receiving).size,
      'files both ways and the ack, each once': filesOf([...sending, ...receiving, ...ack]).size,
      'functions, sending': functionsOf(sending).size,
      'functions, receiving': functionsOf(receiving).size,
      'functions of the ack alone': functionsOf(ack).size,
      [`files of src/node/ or src/libp2p/`]: room.length,
      'lines there': room.reduce((sum, { source }) => sum + linesOf(source).all, 0),
      'lines of code there': room.reduce((sum, { source }) => sum + linesOf(source).code, 0),
      'lines in src/, without cli/ and demo/': sources
        .filter(({ file }) => !/^(?:cli|demo)\//.test(file))
        .reduce((sum, { source }) => sum + linesOf(source).all, 0)
    },
    made: {
      'non-public members that are overridden': overrides.map(told),
      'wrappers of one stream’s data path': wrappers.map(told),
      'private shapes declared': shapes.map(
        ({ file, name, members }) => `${file}: ${name} ${members.join(', ')}`
      ),
      'WeakMaps and WeakSets, in all rooms': weak
    }
  }
}

function filesOf(stops: readonly Stop[]): Set<string> {
  return new Set(stops.map(({ file }) => file))
}

function functionsOf(stops: readonly Stop[]): Set<string> {
  return new Set(stops.flatMap(({ file, functions }) => functions.map(name => `${file} ${name}`)))
}

/** Members that are set on objects other than `this`. What an interface of this file declares for callers is ours. */
function setMembers(source: string): Array<{ object: string; member: string; isOurs: boolean }> {
  return statementsOf(source, 'ts').flatMap(statement =>
    Array.from(nodesOf(statement)).flatMap(node => {
      const found = setBy(node)
      if (found === undefined) return []
      const [object, member] = found
      if (object === '' || member === '') return []
      return [{ object: object.split('.').at(-1)!, member, isOurs: isOwn(source, object) }]
    })
  )
}

function setBy(node: Node): [object: string, member: string] | undefined {
  if (node.type === 'AssignmentExpression' && node['operator'] === '=') {
    const left = node['left'] as Node
    if (left.type !== 'MemberExpression' || left['computed'] === true) return undefined
    const value = (node['right'] as Node).type
    const isBehaviour = /Function/.test(value) || value === 'ObjectExpression' || value === 'Identifier'
    const object = pathOf(left['object'] as Node)
    if (!isBehaviour || object === '' || object === 'this' || object.startsWith('this.')) return undefined
    return [object, pathOf(left['property'] as Node)]
  }
  if (
    node.type !== 'CallExpression' ||
    !/^(?:Object|Reflect)\.defineProperty$/.test(pathOf(node['callee'] as Node))
  ) {
    return undefined
  }
  const [target, key] = node['arguments'] as Node[]
  return [pathOf(target!), (key as { value?: string }).value ?? '']
}

function pathOf(node: Node): string {
  if (node.type === 'ThisExpression') return 'this'
  if (node.type === 'Identifier' || node.type === 'PrivateIdentifier') return node['name'] as string
  if (node.type === 'MemberExpression')
    return `${pathOf(node['object'] as Node)}.${pathOf(node['property'] as Node)}`
  if (/^TS.*Expression$|^Paren/.test(node.type)) return pathOf(node['expression'] as Node)
  return ''
}

/** Whether the object is one that the file makes. */
function isOwn(source: string, object: string): boolean {
  const name = object.split('.')[0]!
  return name === 'Promise' || new RegExp(`const ${name}(?:: \\w+)? = (?:new |\\{)`).test(source)
}

/** What is declared, or written where it is cast to, of objects whose public types do not have it; with its members. */
function privateShapes(source: string): Array<{ name: string; members: string[] }> {
  const statements = statementsOf(source, 'ts')
  const comments = commentsOf(source, statements)
  const cast = new Set(
    Array.from(source.matchAll(/\bas (?:unknown as )?(\w+)\b(?!\()/g), ([, name]) => name!)
  )
  const declared = statements.flatMap((statement, at) => {
    const declaration = (
      statement.type === 'ExportNamedDeclaration' ? statement['declaration'] : statement
    ) as Node | null
    if (declaration === null || !/^TS(?:Interface|TypeAlias)/.test(declaration.type)) return []
    const name = pathOf(declaration['id'] as Node)
    const members = membersOf(declaration)
    const isFunction = (declaration['typeAnnotation'] as Node | undefined)?.type === 'TSFunctionType'
    if (isFunction || (!PRIVATE_SHAPE.test(comments[at]!) && !cast.has(name))) return []
    return [{ name, members }]
  })
  const inline = Array.from(source.matchAll(/\bas unknown as \{ (\w+)/g), ([, member]) => ({
    name: `{ ${member} }`,
    members: [member!]
  }))
  return [...declared, ...inline]
}

function membersOf(declaration: Node): string[] {
  return Array.from(nodesOf(declaration))
    .filter(({ type }) => type === 'TSPropertySignature' || type === 'TSMethodSignature')
    .map(({ key }) => pathOf(key as Node))
}

function linesOf(source: string): { all: number; code: number } {
  const lines = source.trimEnd().split('\n')
  const code = source
    .replaceAll(/\/\*[^]*?\*\//g, '')
    .split('\n')
    .filter(line => line.trim() !== '' && !line.trim().startsWith('//'))
  return { all: lines.length, code: code.length }
}

const args = process.argv.slice(3)
const showsAll = args.includes('--all')
const [before = BEFORE, after] = args.filter(arg => !arg.startsWith('-'))
const wayAt = (tree: Tree, revision: string | undefined): string => {
  if (revision === BEFORE) return readFileSync(WAY_BEFORE, 'utf8')
  const document =
    revision === undefined
      ? readFileSync('docs/architecture.md', 'utf8')
      : git('show', `${revision}:docs/architecture.md`)
  return section(document, WAY)
}
const trees = [before, after].map(revision => {
  const tree = treeOf(revision)
  return { tree, counts: countsOf(tree, wayAt(tree, revision)) }
})
const [{ counts: then }, { counts: now }] = trees as [(typeof trees)[0], (typeof trees)[0]]
const rows = Object.entries(now.figures).map(([name, figure]) => [
  name,
  String(then.figures[name] ?? ''),
  String(figure)
])
const head = ['', ...trees.map(({ tree }) => tree.name)]
const widths = head.map((_, column) => Math.max(...[head, ...rows].map(row => row[column]!.length)))
const line = (row: string[]): string =>
  `| ${row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join(' | ')} |`
console.log(
  [line(head), `| ${widths.map(width => '-'.repeat(width)).join(' | ')} |`, ...rows.map(line)].join('\n')
)
if (showsAll) {
  for (const { tree, counts } of trees) {
    for (const [name, made] of Object.entries(counts.made)) {
      console.log(`\n${tree.name}, ${name}:\n${made.map(item => `  ${item}`).join('\n')}`)
    }
  }
}
