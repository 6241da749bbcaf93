import type { WriteStream } from 'node:tty'
import { styleText } from 'node:util'

/** How often moving parts move, in milliseconds. */
const FRAME_MS = 80
const SPINNER = '⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏'
// oxlint-disable-next-line no-control-regex -- colours are made of them
const COLOUR_OR_CHARACTER = /\u001B\[\d*m|./gsu
/** Longest line of running text, in characters, however wide the terminal is. */
const TEXT_WIDTH = 100

export type Style = 'bold' | 'dim' | 'green' | 'yellow' | 'cyan'

/** One line of a live part. */
export interface Row {
  text: string
  /** It will not change any more. */
  final: boolean
}

/**
 * The user's terminal, or the file or pipe that is in its place. A live part of the screen is repainted in place on a
 * terminal; elsewhere each of its lines is written once, when it is final.
 */
export class Screen {
  readonly #stream: WriteStream
  readonly #moves: boolean
  readonly #colours: boolean
  #rows: (() => Row[]) | undefined
  #timer: NodeJS.Timeout | undefined
  #frame = 0
  /** Lines of the live part that are on the terminal. */
  #painted = 0
  /** Elsewhere: rows of the live part that were written. */
  readonly #written = new Set<number>()

  constructor(stream: WriteStream) {
    this.#stream = stream
    this.#moves = stream.isTTY && process.env['TERM'] !== 'dumb'
    // Respects NO_COLOR, FORCE_COLOR and TERM.
    this.#colours = stream.isTTY && stream.hasColors()
  }

  style(style: Style | Style[], text: string): string {
    return this.#colours ? styleText(style, text, { validateStream: false }) : text
  }

  /** Writes a line that stays. */
  line(text = ''): void {
    this.#stream.write(`${text}\n`)
  }

  /** Begins a section. */
  heading(text: string): void {
    this.line()
    this.line(this.style('bold', text))
  }

  /** Writes running text beside a label, in as many lines as it takes. */
  labelled(label: string, text: string): void {
    const width = Math.min(this.#stream.columns || TEXT_WIDTH, TEXT_WIDTH) - label.length
    for (const [index, line] of wrap(text, width).entries()) {
      this.line(this.style('dim', index === 0 ? label : ' '.repeat(label.length)) + line)
    }
  }

  /** Begins a live part; the one before it stays as it is. */
  live(rows: () => Row[]): void {
    this.close()
    this.#rows = rows
    this.#written.clear()
    if (this.#moves) this.#timer = setInterval(() => this.#paint(rows()), FRAME_MS)
    this.update()
  }

  /** The live part has changed. */
  update(): void {
    if (this.#rows === undefined || this.#moves) return
    for (const [index, { text, final }] of this.#rows().entries()) {
      if (!final || this.#written.has(index)) continue
      this.#written.add(index)
      this.line(text)
    }
  }

  /** Ends the live part. */
  close(): void {
    if (this.#rows === undefined) return
    clearInterval(this.#timer)
    this.update()
    if (this.#moves)
      this.#stream.write(
        this.#erase() +
          this.#rows()
            .map(({ text }) => `${text}\n`)
            .join('')
      )
    this.#rows = undefined
    this.#painted = 0
  }

  /** Stands before a line about something that is over, or is going on. */
  mark(final: boolean): string {
    return final ? this.style('green', '✓') : this.style('cyan', SPINNER[this.#frame % SPINNER.length]!)
  }

  /** How far something is, from 0 to 1, in so many characters after two spaces; nothing where nothing moves. */
  bar(share: number, cells: number): string {
    if (!this.#moves) return ''
    const full = Math.floor(Math.min(share, 1) * cells)
    const filled = this.style(share >= 1 ? 'green' : 'cyan', '━'.repeat(full))
    return `  ${filled}${this.style('dim', (this.#colours ? '━' : '·').repeat(cells - full))}`
  }

  /** Room for a bar. */
  noBar(cells: number): string {
    return this.#moves ? ' '.repeat(cells + 2) : ''
  }

  #paint(rows: Row[]): void {
    this.#frame++
    // More lines than the terminal has, or longer ones, would scroll or wrap, and could not be erased. Some terminals
    // do not know their size and say 0.
    const { rows: height, columns: width } = this.#stream
    const lines = rows.slice(0, Math.max(1, (height || 24) - 1))
    const text = lines.map(row => `${clip(row.text, (width || 80) - 1)}\n`).join('')
    this.#stream.write(this.#erase() + text)
    this.#painted = lines.length
  }

  #erase(): string {
    return this.#painted === 0 ? '' : `\u001B[${this.#painted}A\u001B[0J`
  }
}

/** At most `width` characters of a line; colours take no room. */
function clip(line: string, width: number): string {
  let room = width
  return line.replaceAll(COLOUR_OR_CHARACTER, part => (part.startsWith('\u001B') || room-- > 0 ? part : ''))
}

/** Text in lines of at most `width` characters, where its words allow that. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const longer = lines.length === 0 ? word : `${lines.at(-1)} ${word}`
    if (lines.length > 0 && visible(longer) <= width) lines[lines.length - 1] = longer
    else lines.push(word)
  }
  return lines
}

/** Characters that can be seen. */
function visible(text: string): number {
  return text.length - clip(text, 0).length
}
