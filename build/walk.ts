/**
 * The way of a message in docs/architecture.md: each file that it names, as in `protocol/outbox.ts`, and each function named
 * directly behind a file, as in `protocol/outbox.ts` `send`, `#write`.
 */
import type { Node } from './syntax.ts'
import { nodesOf, statementsOf } from './syntax.ts'

/** A file of `src`, and functions in it. */
export interface Stop {
  file: string
  functions: string[]
}

const STOP = /`([\w/-]+\.ts)`((?:,? `#?\w+`)*)/g

/** The stops of a text, in order. */
export function stopsIn(markdown: string): Stop[] {
  return Array.from(markdown.matchAll(STOP), ({ 1: file, 2: functions }) => ({
    file: file!,
    functions: Array.from(functions!.matchAll(/`(#?\w+)`/g), ({ 1: name }) => name!)
  }))
}

/** The text of a section, down to the next heading of its level or above. */
export function section(markdown: string, heading: string): string {
  const level = /^#+/.exec(heading)![0].length
  const lines = markdown.split('\n')
  const begin = lines.indexOf(heading)
  if (begin === -1) throw new Error(`no section is called ${heading}`)
  const length = lines.slice(begin + 1).findIndex(line => new RegExp(`^#{1,${level}} `).test(line))
  return lines.slice(begin, length === -1 ? undefined : begin + 1 + length).join('\n')
}

/** What the stops name and the sources do not have; `read` is undefined for a file that is not there. */
export function missingStops(stops: readonly Stop[], read: (file: string) => string | undefined): string[] {
  return stops.flatMap(({ file, functions }) => {
    const source = read(file)
    if (source === undefined) return [`${file} is not there`]
    const names = new Set(functionsIn(source))
    return functions.filter(name => !names.has(name)).map(name => `${file} has no function ${name}`)
  })
}

/** Names of functions, methods, accessors, and of what a function is assigned to. */
function functionsIn(source: string): string[] {
  return statementsOf(source, 'ts').flatMap(statement =>
    Array.from(nodesOf(statement), nameOf).filter(name => name !== '')
  )
}

function nameOf(node: Node): string {
  const { type } = node
  const isFunction = (value: unknown): boolean => /Function/.test((value as Node | null)?.type ?? '')
  if (type === 'FunctionDeclaration') return nameIn(node['id'])
  if (type === 'MethodDefinition') return nameIn(node['key'])
  if (type === 'VariableDeclarator' && isFunction(node['init'])) return nameIn(node['id'])
  if (type.startsWith('Property') && isFunction(node['value'])) return nameIn(node['key'])
  if (type === 'AssignmentExpression' && isFunction(node['right'])) {
    return nameIn((node['left'] as Node)['property'] ?? node['left'])
  }
  return ''
}

function nameIn(name: unknown): string {
  const { type, name: plain } = name as { type: string; name?: string }
  return type === 'PrivateIdentifier' ? `#${plain}` : (plain ?? '')
}
