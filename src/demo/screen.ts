import type { WriteStream } from 'node:tty'
import { styleText } from 'node:util'

/** How often moving parts move, in milliseconds. */
const FRAME_MS = 80
const SPINNER = '⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏'
/** Off while lines are painted that are to be painted over: one that wraps would take more than its line. */
const WRAP_OFF = '\u001B[?7l'
const WRAP_ON = '\u001B[?7h'

/** One line of a live part. */
export interface Row {
  text: string
  /** It will not change any more. */
  final: boolean
}

/**
 * The user's terminal, or the file or pipe that is in its place. A live part of the screen is repainted in place on a
 * terminal; elsewhere each of its lines is written once, when it is final. Colours are `styleText`'s affair.
 */
export class Screen {
  readonly #stream: WriteStream = process.stdout
  readonly #moves: boolean = process.stdout.isTTY && process.env['TERM'] !== 'dumb'
  #rows: (() => Row[]) | undefined
  #timer: NodeJS.Timeout | undefined
  #frame = 0
  /** Lines of the live part that are on the terminal. */
  #painted = 0
  /** Elsewhere: rows of the live part that were written. */
  readonly #written = new Set<number>()

  /** Writes a line that stays. */
  line(text = ''): void {
    this.#stream.write(`${text}\n`)
  }

  /** Begins a section. */
  heading(text: string): void {
    this.line(`\n${styleText('bold', text)}`)
  }

  /** Writes a line with a name before it. */
  labelled(label: string, text: string): void {
    this.line(`    ${styleText('dim', label.padEnd(14))} ${text}`)
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
    if (this.#moves) return
    for (const [index, { text, final }] of this.#rows?.().entries() ?? []) {
      if (!final || this.#written.has(index)) continue
      this.#written.add(index)
      this.line(text)
    }
  }

  /** Ends the live part. */
  close(): void {
    clearInterval(this.#timer)
    this.update()
    if (this.#moves && this.#rows !== undefined) {
      const lines = this.#rows().map(({ text }) => `${text}\n`)
      this.#stream.write(this.#erase() + lines.join(''))
    }
    this.#rows = undefined
    this.#painted = 0
  }

  /** Stands before a line about something that is over, or is going on. */
  mark(final: boolean): string {
    return final ? styleText('green', '✓') : styleText('cyan', SPINNER[this.#frame % SPINNER.length]!)
  }

  /** How far something is, from 0 to 1, in so many characters; nothing where nothing moves. */
  bar(share: number, cells: number): string {
    if (!this.#moves) return ''
    const full = Math.floor(Math.min(share, 1) * cells)
    return `${styleText(share >= 1 ? 'green' : 'cyan', '━'.repeat(full))}${styleText('dim', '·'.repeat(cells - full))}  `
  }

  #paint(rows: Row[]): void {
    this.#frame++
    // More lines than the terminal has would scroll, and could not be erased. Some terminals say that they have 0.
    const lines = rows.slice(0, Math.max(1, (this.#stream.rows || 24) - 1))
    const text = lines.map(row => `${row.text}\n`).join('')
    this.#stream.write(`${this.#erase()}${WRAP_OFF}${text}${WRAP_ON}`)
    this.#painted = lines.length
  }

  #erase(): string {
    return this.#painted === 0 ? '' : `\u001B[${this.#painted}A\u001B[0J`
  }
}
