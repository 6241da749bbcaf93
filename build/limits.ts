/**
 * What bounds something, read from the rooms' `limits.ts`. Documents take it from there: `docs/limits.md` is generated, and
 * a figure in a text is followed by the name of what it must agree with, as in `256<!-- limit:MAX_INBOUND_STREAMS -->`,
 * `16<!-- limit:PING_ALLOWANCE.refillPerSecond -->` or `10 s<!-- limit:limits.ackTimeoutMs -->`. In a table behind
 * `<!-- limits: all -->` every figure must be.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { MISBEHAVIOUR_CAUSES, resolveOptions } from '../src/options.ts'
import { documentOf } from './document.ts'
import { commentsOf, statementsOf } from './syntax.ts'
import type { Node } from './syntax.ts'

export const LIMITS_DOCUMENT = 'docs/limits.md'

export interface Limit {
  /** The folder in `src`. */
  room: string
  name: string
  /** One figure, or several by name. */
  value: number | Record<string, number>
  about: string
}

/** A figure of a document that is said to be a limit's. */
interface Marked {
  /** What stands before it in its line. */
  before: string
  name: string
  line: number
}

const ALL_MARKED = '<!-- limits: all -->'
/** Code, links, and lengths of prefixes of addresses. */
const NO_FIGURE = /`[^`]*`|\[[^\]]*\]\([^)]*\)|\/\d+/g
const FIGURE = /(?<![\w.,])\d[\d,.]*(?: (?:KiB|MiB|GiB|ms|s|min|bytes)\b)?<?/g
const GIVEN_DEFAULT = /@default ([\d_.]+)(?:(?!@|\*\/)[^])*\*\/\s*(\w+)\??:|\b(\w+): (\d[\d_.]*)/g
const MARK = /<!-- limit:([\w.]+) -->/g

/** Those of all rooms, by room. */
export function limitsOfRooms(src = 'src'): Limit[] {
  return ['.', ...readdirSync(src)]
    .toSorted()
    .map(room => ({ room, file: join(src, room, 'limits.ts') }))
    .filter(({ file }) => existsSync(file))
    .flatMap(({ room, file }) => limitsIn(readFileSync(file, 'utf8'), room))
}

/** Those that one file exports. @throws Error when one has no comment, or a value that is not written down in the file */
export function limitsIn(source: string, room: string): Limit[] {
  const statements = statementsOf(source, 'ts')
  const comments = commentsOf(source, statements)
  const known = new Map<string, number>()
  return statements.flatMap((statement, at) => {
    if (statement.type !== 'ExportNamedDeclaration') return []
    const { declarations = [] } = (statement['declaration'] ?? {}) as { declarations?: Node[] }
    return declarations.map(({ id, init }) => {
      const { name } = id as { name: string }
      const about = comments[at]!.replaceAll(/\s+/g, ' ')
      if (about === '') throw new Error(`${room}: ${name} does not say what it bounds`)
      try {
        const value = valueOf(init as Node, known)
        if (typeof value === 'number') known.set(name, value)
        return { room, name, value, about }
      } catch (err) {
        throw new Error(`${room}: ${name} ${(err as Error).message}`, { cause: err })
      }
    })
  })
}

function valueOf(node: Node, known: ReadonlyMap<string, number>): Limit['value'] {
  if (node.type !== 'ObjectExpression') return figureOf(node, known)
  return Object.fromEntries(
    (node['properties'] as Array<{ key: { name: string }; value: Node }>).map(({ key, value }) => [
      key.name,
      figureOf(value, known)
    ])
  )
}

function figureOf(node: Node, known: ReadonlyMap<string, number>): number {
  const { type, value, operator } = node
  if (type === 'Literal' && typeof value === 'number') return value
  const of = (part: string): number => figureOf(node[part] as Node, known)
  if (type === 'UnaryExpression' && operator === '-') return -of('argument')
  if (type === 'ParenthesizedExpression' || type === 'TSAsExpression') return of('expression')
  if (type === 'Identifier') {
    const figure = known.get(node['name'] as string)
    if (figure !== undefined) return figure
  }
  if (type === 'BinaryExpression') {
    const [left, right] = [of('left'), of('right')]
    switch (operator) {
      case '+':
        return left + right
      case '-':
        return left - right
      case '*':
        return left * right
      case '/':
        return left / right
      case '**':
        return left ** right
    }
  }
  throw new Error('has a value that cannot be read from the file alone')
}

/** Every default of an option, under its name, as in `limits.ackTimeoutMs`. */
export function optionDefaults(): Map<string, number> {
  const { limits, rateLimit, heartbeatMs } = resolveOptions()
  const { capacity, refillPerSecond, costs } = rateLimit
  return new Map([
    ...Object.entries(limits).map(([name, value]) => [`limits.${name}`, value as number] as const),
    ['heartbeatMs', heartbeatMs],
    ['rateLimit.capacity', capacity],
    ['rateLimit.refillPerSecond', refillPerSecond],
    ...MISBEHAVIOUR_CAUSES.map(cause => [`rateLimit.costs.${cause}`, costs[cause]] as const)
  ])
}

/**
 * What is wrong with the defaults that a text gives, as code or in a doc comment: `ackTimeoutMs: 10_000`, or `@default 10_000`
 * in the comment of `ackTimeoutMs: number`. Each has to be there.
 */
export function wrongDefaults(text: string): string[] {
  const given = new Map(
    Array.from(text.matchAll(GIVEN_DEFAULT), ({ 1: tag, 2: tagged, 3: plain, 4: value }) => [
      tagged ?? plain!,
      Number((tag ?? value!).replaceAll('_', ''))
    ])
  )
  return [...optionDefaults()].flatMap(([path, figure]) => {
    const name = path.slice(path.lastIndexOf('.') + 1)
    if (path.startsWith('rateLimit.costs.') || given.get(name) === figure) return []
    return [`the default of ${path} is ${figure}, not ${given.get(name) ?? 'told'}`]
  })
}

/** Every figure under the names by which documents may mark it. A name that two rooms use is marked with its room. */
export function figuresOf(limits: readonly Limit[]): Map<string, number> {
  const figures = optionDefaults()
  for (const { room, name, value } of limits) {
    const isShared = limits.some(other => other.name === name && other.room !== room)
    const full = isShared ? `${room}.${name}` : name
    if (typeof value === 'number') figures.set(full, value)
    else for (const [part, figure] of Object.entries(value)) figures.set(`${full}.${part}`, figure)
  }
  return figures
}

/** What is wrong with the figures of a document, a line each. */
export function wrongFigures(markdown: string, figures: ReadonlyMap<string, number>): string[] {
  const wrong = marksIn(markdown).flatMap(({ before, name, line }) => {
    const figure = figures.get(name)
    if (figure === undefined) return [`line ${line}: nothing that bounds something is called ${name}`]
    const forms = formsOf(name, figure)
    if (forms.some(form => before.endsWith(form) && !/[\d.,]$/.test(before.slice(0, -form.length)))) return []
    return [`line ${line}: '${before.slice(-20)}' is not ${name}, which is ${forms.join(', or ')}`]
  })
  return [...wrong, ...unmarkedIn(markdown)]
}

function marksIn(markdown: string): Marked[] {
  return markdown.split('\n').flatMap((text, at) =>
    Array.from(text.matchAll(MARK), ({ index, 1: name }) => ({
      before: text.slice(0, index).trimEnd(),
      name: name!,
      line: at + 1
    }))
  )
}

/** What has no mark in the tables where every figure must have one. */
function unmarkedIn(markdown: string): string[] {
  let isBehind = false
  let isTable = false
  return markdown.split('\n').flatMap((text, at) => {
    if (text === ALL_MARKED) isBehind = true
    else if (!text.startsWith('|')) {
      isBehind &&= !isTable && text === ''
      isTable = false
    } else {
      isTable = true
      if (isBehind) {
        return Array.from(text.replaceAll(NO_FIGURE, '').matchAll(FIGURE), ([figure]) => figure)
          .filter(figure => !figure.endsWith('<'))
          .map(figure => `line ${at + 1}: nothing says which limit ${figure} is`)
      }
    }
    return []
  })
}

const UNITS = {
  bytes: [
    ['GiB', 1024 ** 3],
    ['MiB', 1024 ** 2],
    ['KiB', 1024],
    ['bytes', 1]
  ],
  time: [
    ['min', 60_000],
    ['s', 1_000],
    ['ms', 1]
  ],
  count: []
} as const

/** How a figure may be written: in the units of its name in which it comes out even, the largest first; or the digits alone. */
export function formsOf(name: string, figure: number): string[] {
  const kind = /(?:_BYTES|[bB]ytes)$/.test(name) ? 'bytes' : /(?:_MS|Ms)$/.test(name) ? 'time' : 'count'
  const plain = figure.toLocaleString('en-US', { maximumFractionDigits: 6 })
  const units = UNITS[kind].filter(([, size]) => figure === 0 || figure % size === 0 || size === 1)
  return [...units.map(([unit, size]) => `${(figure / size).toLocaleString('en-US')} ${unit}`), plain]
}

/** As tables show it. */
export function shown(name: string, figure: number): string {
  return formsOf(name, figure)[0]!
}

/** The document of all limits. */
export async function limitsDocument(limits: readonly Limit[]): Promise<string> {
  const options = [...optionDefaults()].map(([name, figure]) => `| \`${name}\` | ${shown(name, figure)} |`)
  const rooms = [...new Set(limits.map(({ room }) => room))].map(room => {
    const rows = limits
      .filter(limit => limit.room === room)
      .map(
        ({ name, value, about }) =>
          `| \`${name}\` | ${shownValue(name, value)} | ${about.replaceAll('|', '\\|')} |`
      )
    return `## \`${join('src', room)}/\`\n\n| name | value | what it bounds |\n| --- | --- | --- |\n${rows.join('\n')}`
  })
  return documentOf(`# Limits

Written by \`npm run docs\` from \`src/*/limits.ts\` and the defaults of the options; \`npm run check\` fails when it is not what they say. What happens at the bounds that users meet is in [architecture](architecture.md), "Bounds".

## Options

Ranges are in the doc comments of \`Limits\` and \`RateLimit\`.

| option | default |
| --- | --- |
${options.join('\n')}

${rooms.join('\n\n')}
`)
}

function shownValue(name: string, value: Limit['value']): string {
  if (typeof value === 'number') return shown(name, value)
  return Object.entries(value)
    .map(([part, figure]) => `${part} ${shown(part, figure)}`)
    .join(', ')
}
