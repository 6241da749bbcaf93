/**
 * Gathers the published types in one file: what `index.d.ts` exports, and whatever those declarations mention, out of all
 * that tsc has declared. Private parts stay out by not being mentioned, whichever file they stand in.
 */
import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { isNode, rawCommentsOf, statementsOf } from './syntax.ts'
import type { Node } from './syntax.ts'

/** Where a name is declared. */
interface Origin {
  file: string
  name: string
}

interface Declaration {
  /** With the comment before it, without `export`. */
  text: string
  /** Names it mentions. */
  mentions: string[]
}

interface Module {
  /** A name may be declared as a value and as a type. */
  declarations: Map<string, Declaration[]>
  imports: Map<string, Origin>
  exports: Map<string, Origin>
}

/** What TypeScript before 5.2 does not know, and later ones in no library that is there by default; nor does it mind a second. */
const DISPOSAL = `declare global {
  interface SymbolConstructor {
    readonly dispose: unique symbol
    readonly asyncDispose: unique symbol
  }
}`

/**
 * The text of one declaration file, from that of the package's entry point.
 *
 * @throws Error when a public type mentions one of another package, or two files declare the same public name
 */
export function publicTypes(entry: string): string {
  const modules = new Map<string, Module>()
  const moduleOf = (file: string): Module => {
    const module = modules.get(file) ?? readModule(file)
    modules.set(file, module)
    return module
  }
  const { exports } = moduleOf(entry)
  const texts: string[] = []
  const files = new Map<string, string>()

  const include = (at: Origin, exported: boolean): void => {
    const { file, name } = originOf(at, moduleOf)
    const known = files.get(name)
    if (known === file) return
    if (known !== undefined) throw new Error(`${name} is public and declared in ${known} and in ${file}`)
    files.set(name, file)
    for (const { text, mentions } of moduleOf(file).declarations.get(name) ?? []) {
      texts.push(exported ? text.replace(/^((?:\s*\/\*\*[^]*?\*\/)?\s*)/, '$1export ') : text)
      for (const mentioned of mentions) include({ file, name: mentioned }, exports.has(mentioned))
    }
  }
  for (const [name, origin] of exports)
    include({ ...origin, name: origin.name === name ? name : refused(name) }, true)
  const [about = ''] = /^\/\*\*[^]*?\*\//.exec(readFileSync(entry, 'utf8')) ?? []
  if (texts.some(text => /\[Symbol\.(?:d|asyncD)ispose\]/.test(text))) texts.unshift(DISPOSAL)
  return `${[about, ...texts].join('\n')}\nexport {}\n`
}

function refused(name: string): never {
  throw new Error(`${name} is exported under another name than its own`)
}

/** Follows imports and exports to the declaration. */
function originOf(at: Origin, moduleOf: (file: string) => Module): Origin {
  const { declarations, imports, exports } = moduleOf(at.file)
  if (declarations.has(at.name)) return at
  const next = imports.get(at.name) ?? exports.get(at.name)
  if (next === undefined) throw new Error(`${at.file} does not declare ${at.name}`)
  if (!next.file.startsWith('/')) throw new Error(`${at.name} of ${next.file} is mentioned by a public type`)
  return originOf(next, moduleOf)
}

function readModule(file: string): Module {
  const source = readFileSync(file, 'utf8')
  const module: Module = { declarations: new Map(), imports: new Map(), exports: new Map() }
  const statements = statementsOf(source, 'dts')
  const comments = rawCommentsOf(source, statements)
  for (const [at, node] of statements.entries()) {
    readStatement(node, { file, source, module, comment: comments[at]! })
  }
  for (const declared of module.declarations.values()) {
    for (const declaration of declared) {
      declaration.mentions = declaration.mentions.filter(
        name => module.declarations.has(name) || module.imports.has(name)
      )
    }
  }
  return module
}

function readStatement(
  node: Node,
  { file, source, module, comment }: { file: string; source: string; module: Module; comment: string }
): void {
  const from = node['source'] as { value: string } | null | undefined
  const target = from === null || from === undefined ? file : fileOf(file, from.value)
  const specifiers = (node['specifiers'] ?? []) as Array<
    Record<'local' | 'imported' | 'exported', { name: string }>
  >
  if (node.type === 'ImportDeclaration') {
    for (const { local, imported } of specifiers)
      module.imports.set(local.name, { file: target, name: imported.name })
    return
  }
  for (const { local, exported } of specifiers)
    module.exports.set(exported.name, { file: target, name: local.name })
  const declaration = (node.type === 'ExportNamedDeclaration' ? node['declaration'] : node) as Node | null
  if (declaration === null) return
  const name = nameOf(declaration)
  const text = comment + source.slice(declaration.start, declaration.end)
  const others = module.declarations.get(name) ?? []
  module.declarations.set(name, [...others, { text, mentions: [...identifiersIn(declaration)] }])
  if (declaration !== node) module.exports.set(name, { file, name })
}

/** The name that a statement declares. */
export function nameOf(declaration: Node): string {
  const [declarator] = (declaration['declarations'] ?? []) as Node[]
  return ((declarator ?? declaration)['id'] as { name: string }).name
}

/** Every name in a declaration but those of its properties. */
function* identifiersIn(node: Node): Generator<string> {
  if (node.type === 'Identifier') yield node['name'] as string
  for (const [property, value] of Object.entries(node)) {
    if (property === 'key' && node['computed'] !== true) continue
    for (const child of Array.isArray(value) ? value : [value]) if (isNode(child)) yield* identifiersIn(child)
  }
}

function fileOf(importer: string, specifier: string): string {
  if (!specifier.startsWith('.')) return specifier
  return resolve(dirname(importer), specifier.replace(/\.[jt]s$/, '.d.ts'))
}
