import { P2pError, shown } from '../errors.ts'
import { canonicalIp, canonicalName, type AllowListContent, type AllowListEntry } from './entry.ts'
import { MAX_ENTRIES, MAX_IPS, MAX_TEXT_BYTES } from './limits.ts'
import { fault, tokensOf, type Token } from './tokens.ts'

/**
 * Reads an allow list from YAML:
 *
 * ```yaml
 * # a peer ID or a key hash (64 hex digits), and from where it may connect
 * 12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5: 10.0.0.7
 * 16Uiu2HAmUkMvP8GbqzXRUiwT2yRNJ2MJVRqVeXLMzEZzCBrCNQCB: [10.0.0.0/24, '2001:db8::/32']
 * 3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29: ~   # from anywhere
 * ```
 *
 * or the single word `allow_all`. A text of white space and comments is the list that names nobody.
 *
 * An entry's addresses are one, or a list of 1 to 1,024, in block or flow form; `~` or `null` is any address;
 * nothing at all is an error, so that an unfinished line opens no door. The rest of YAML, such as aliases,
 * anchors, tags, escapes and several documents, is refused, and so is a second entry for a name.
 *
 * @param yaml at most 16 MiB in UTF-8, with at most 65,536 entries
 * @returns the entries in their canonical form, in the order of the text
 * @throws {P2pError} ERR_INVALID_PEER_ID or ERR_INVALID_ADDRESS for a name or an address that is none,
 * ERR_INVALID_OPTION for everything else; what is wrong in a line is told as `line N: …`
 */
export function parseAllowList(yaml: string): AllowListContent {
  if (typeof yaml !== 'string') {
    throw new P2pError('ERR_INVALID_OPTION', `Invalid allow list ${shown(yaml)}: wanted a YAML text`)
  }
  // a UTF-16 unit has at least one byte in UTF-8
  if (yaml.length > MAX_TEXT_BYTES || Buffer.byteLength(yaml) > MAX_TEXT_BYTES) {
    throw new P2pError('ERR_INVALID_OPTION', `The allow list is longer than ${MAX_TEXT_BYTES} bytes`)
  }
  return new Parser(yaml).parse()
}

class Parser {
  readonly #tokens: Iterator<Token, Token>
  /** the next one, not taken yet */
  #token: Token

  constructor(yaml: string) {
    this.#tokens = tokensOf(yaml)
    this.#token = this.#tokens.next().value
  }

  parse(): AllowListContent {
    if (this.#at('---')) this.#take('---')
    if (this.#token.text === 'allow_all') {
      const { line } = this.#take('text')
      if (!this.#at('end')) throw fault(line, "'allow_all' stands alone")
      return 'allow-all'
    }

    const entries: AllowListEntry[] = []
    const lines = new Map<string, number>()
    const { column } = this.#token
    while (!this.#at('end')) {
      const { line } = this.#token
      if (entries.length === MAX_ENTRIES) throw fault(line, `more than ${MAX_ENTRIES} entries`)
      const entry = this.#entry(column)
      const earlier = lines.get(entry.peerId)
      if (earlier !== undefined) throw fault(line, `a second entry for the name of line ${earlier}`)
      lines.set(entry.peerId, line)
      entries.push(entry)
    }
    return entries
  }

  /** @param column where names begin */
  #entry(column: number): AllowListEntry {
    const name = this.#take('text')
    if (!name.first || name.column !== column) {
      throw fault(name.line, 'a name begins its line, indented as the names before it')
    }
    if (!this.#at(':') || this.#token.line !== name.line) {
      throw fault(name.line, "wanted 'name: address', with a space behind the colon")
    }
    this.#take(':')
    const peerId = atLine(name.line, () => canonicalName(name.text))
    const ips = this.#value(name)
    return ips === undefined ? { peerId } : { peerId, ips: [...new Set(ips)] }
  }

  /** @returns undefined: any address */
  #value(name: Token): string[] | undefined {
    const { kind, text, plain, first, column } = this.#token
    if (kind === '-') return this.#blockList(name)
    if (kind === 'end' || (first && column <= name.column)) {
      throw fault(name.line, "a name without an address; wanted 'name: ~' for any address")
    }
    if (kind === '[') return this.#flowList()
    if (plain && (text === '~' || text === 'null')) {
      this.#take('text')
      return undefined
    }
    return [this.#ip()]
  }

  #blockList(name: Token): string[] {
    const { column, first, line } = this.#token
    if (!first || column < name.column) {
      throw fault(line, "a '-' begins its line, indented as the name or more")
    }
    const ips: string[] = []
    while (this.#at('-') && this.#token.column === column) {
      const dash = this.#take('-')
      if (this.#token.first && this.#token.column <= column)
        throw fault(dash.line, "a '-' without an address")
      this.#add(ips)
    }
    return ips
  }

  #flowList(): string[] {
    const { line } = this.#take('[')
    const ips: string[] = []
    while (!this.#at(']')) {
      this.#add(ips)
      if (!this.#at(']')) this.#take(',')
    }
    this.#take(']')
    if (ips.length === 0) throw fault(line, "an empty list allows no address; wanted '~' for any address")
    return ips
  }

  #add(ips: string[]): void {
    if (ips.length === MAX_IPS) throw fault(this.#token.line, `more than ${MAX_IPS} addresses for one name`)
    ips.push(this.#ip())
  }

  #ip(): string {
    const { line, text } = this.#take('text')
    return atLine(line, () => canonicalIp(text))
  }

  #at(kind: Token['kind']): boolean {
    return this.#token.kind === kind
  }

  #take(kind: Exclude<Token['kind'], 'end'>): Token {
    const token = this.#token
    if (token.kind !== kind) throw fault(token.line, `found ${named(token.kind)}, wanted ${named(kind)}`)
    this.#token = this.#tokens.next().value
    return token
  }
}

function named(kind: Token['kind']): string {
  if (kind === 'end') return 'the end of the text'
  return kind === 'text' ? 'a name or an address' : `'${kind}'`
}

/** What `read` returns; an error gets the line it belongs to. */
function atLine<T>(line: number, read: () => T): T {
  try {
    return read()
  } catch (err) {
    if (!(err instanceof P2pError)) throw err
    throw new P2pError(err.code, `line ${line}: ${err.message}`, { cause: err })
  }
}
