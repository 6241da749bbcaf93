import { parseAst } from 'rolldown/parseAst'

/** A node of the syntax tree, as far as it is looked at here. */
export interface Node {
  type: string
  start: number
  end: number
  [property: string]: unknown
}

/** The statements of a module, or of a file of declarations. */
export function statementsOf(source: string, lang: 'ts' | 'dts'): Node[] {
  const { body } = parseAst(source, { lang }) as unknown as { body: Node[] }
  return body
}

/** Whether a value of the syntax tree is a node. */
export function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'type' in value
}

/** Every node below one, and itself. */
export function* nodesOf(node: Node): Generator<Node> {
  yield node
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? value : [value]) if (isNode(child)) yield* nodesOf(child)
  }
}

/** The documentation comment directly before each statement, as it stands; '' where there is none. */
export function rawCommentsOf(source: string, statements: readonly Node[]): string[] {
  let end = 0
  return statements.map(node => {
    const before = source.slice(end, node.start)
    ;({ end } = node)
    return /\/\*\*(?:(?!\*\/)[^])*\*\/\s*$/.exec(before)?.[0] ?? ''
  })
}

/** The same with the stars taken off. */
export function commentsOf(source: string, statements: readonly Node[]): string[] {
  return rawCommentsOf(source, statements).map(comment =>
    comment
      .replace(/^\/\*\*|\*\/\s*$/g, '')
      .replace(/^\s*\* ?/gm, '')
      .trim()
  )
}
