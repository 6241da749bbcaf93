import { CST, Lexer } from 'yaml'
import { P2pError } from '../errors.ts'

/** A piece of YAML that can stand in an allow list. White space and comments are not told. */
export interface Token {
  /** 'text' is a plain or quoted scalar, on one line */
  kind: 'text' | ':' | '-' | '[' | ']' | ',' | '---' | 'end'
  /** of a text: what it says, without its quotes; escapes are left as they are */
  text: string
  /** a text without quotes, which alone can be more than a string (`~`) */
  plain: boolean
  /** counted from 1 */
  line: number
  /** spaces before it when it is the first of its line */
  column: number
  /** nothing but spaces stands before it on its line */
  first: boolean
}

/** What a lexeme is; null when nothing the `yaml` package knows. */
type LexemeType = CST.TokenType | 'plain' | null

const KINDS: Partial<Record<NonNullable<LexemeType>, Token['kind']>> = {
  'map-value-ind': ':',
  'seq-item-ind': '-',
  'flow-seq-start': '[',
  'flow-seq-end': ']',
  comma: ',',
  'doc-start': '---',
  plain: 'text',
  'single-quoted-scalar': 'text',
  'double-quoted-scalar': 'text'
}

const REFUSED: Partial<Record<NonNullable<LexemeType>, string>> = {
  alias: 'an alias',
  anchor: 'an anchor',
  tag: 'a tag',
  'directive-line': 'a directive',
  'doc-end': 'the end of a document',
  'explicit-key-ind': "a '?'",
  'flow-map-start': 'a flow mapping',
  'flow-map-end': "a '}'",
  'flow-error-end': 'a list that is not closed',
  'block-scalar-header': 'a block text'
}

/** An error in the text's structure. It repeats nothing of the text. */
export function fault(line: number, message: string): P2pError {
  return new P2pError('ERR_INVALID_OPTION', `line ${line}: ${message}`)
}

/**
 * Cuts YAML into the tokens of an allow list, one at a time: what is refused costs nothing beyond its place
 * in the text, however long or deeply nested the rest. The lexer is the `yaml` package's; its parser would
 * hold hundreds of bytes for each byte of the text before anything could be refused.
 *
 * @returns the end, after all other tokens were yielded
 * @throws {P2pError} ERR_INVALID_OPTION naming the line, for YAML that has no place in an allow list
 */
export function* tokensOf(yaml: string): Generator<Token, Token> {
  let line = 1
  let column = 0
  let first = true
  let tabbed = false
  let spaced = true // white space, or the start of a line, is just before
  let announced = false // the lexer tells that a plain text follows, then gives it

  for (const lexeme of new Lexer().lex(yaml)) {
    const type: LexemeType = announced ? 'plain' : CST.tokenType(lexeme)
    announced = type === 'scalar'
    if (announced || type === 'doc-mode' || type === 'byte-order-mark') continue
    if (type === 'newline') {
      line++
      column = 0
      first = spaced = true
      tabbed = false
      continue
    }
    if (type === 'space') {
      tabbed ||= first && lexeme.includes('\t')
    } else if (type === 'comment') {
      if (!spaced) throw fault(line, "a comment needs white space before its '#'")
    } else {
      if (tabbed) throw fault(line, 'a tab does not indent in YAML; wanted spaces')
      const kind = kindOf(type, line)
      const text = kind === 'text' ? textOf(lexeme, type, line) : ''
      yield { kind, text, plain: type === 'plain', line, column, first }
      first = false
    }
    spaced = type === 'space'
    column += lexeme.length
  }
  return { kind: 'end', text: '', plain: false, line, column, first }
}

function kindOf(type: LexemeType, line: number): Token['kind'] {
  const kind = type === null ? undefined : KINDS[type]
  if (kind !== undefined) return kind
  const refused = (type !== null && REFUSED[type]) || 'something that is not YAML'
  throw fault(line, `${refused} has no place in an allow list`)
}

function textOf(lexeme: string, type: LexemeType, line: number): string {
  if (lexeme.includes('\n')) {
    throw fault(line, "a text goes on in the next line; wanted 'name: address' on one")
  }
  if (type === 'plain') return lexeme
  if (lexeme.length < 2 || !lexeme.endsWith(lexeme.charAt(0))) throw fault(line, 'a quote is not closed')
  return lexeme.slice(1, -1)
}
