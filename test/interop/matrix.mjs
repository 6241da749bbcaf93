/** The results: on the screen, as JSON in the cache, and in docs/interop.md. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cacheFolder } from './kinds.mjs'

const DOCS = new URL('../../docs/interop.md', import.meta.url)
const [BEGIN, END] = ['<!-- matrix: written by npm run interop -->', '<!-- end of matrix -->']
const MARKS = { true: '✓', false: '✗' }

export class Matrix {
  #scenarios
  /** Implementations that this machine has no tools for, and those that did not build; each with the reason. */
  #leftOut
  #broken
  #cells = new Map()

  constructor(scenarios, kinds, { leftOut, broken }) {
    this.#scenarios = scenarios
    this.kinds = kinds
    this.#leftOut = leftOut
    this.#broken = broken
  }

  set(scenario, kind, direction, result) {
    this.#cells.set(`${scenario.name} ${kind.name} ${direction}`, {
      scenario: scenario.name,
      pair: kind.name,
      direction,
      ...result
    })
  }

  get failed() {
    return this.#all.filter(({ passed }) => !passed).length + this.#broken.length
  }

  get #all() {
    return [...this.#cells.values()]
  }

  /** Everything that is to be known, and where it was put. */
  async report({ minutes, docs }) {
    const table = this.#table()
    const [leftOut, broken] = [this.#leftOut, this.#broken]
    const results = { date: new Date().toISOString(), minutes, leftOut, broken, cells: this.#all }
    const file = join(cacheFolder(), 'matrix.json')
    await mkdir(cacheFolder(), { recursive: true })
    await writeFile(file, JSON.stringify(results, undefined, 2) + '\n')
    if (docs) await this.#intoDocs(table)
    console.log(`\n${table}\n`)
    for (const { scenario, pair, direction, text } of this.#all.filter(({ passed }) => !passed)) {
      console.log(`FAILED ${scenario}, ${pair} ${direction}: ${text}`)
    }
    for (const line of broken) console.log(`FAILED build of ${line}`)
    for (const line of leftOut) console.log(`left out: ${line}`)
    console.log(`${minutes.toFixed(1)} minutes; details in ${file}`)
    console.log(`${this.#all.filter(({ passed }) => passed).length} passed, ${this.failed} failed`)
  }

  /** Rows are scenarios; the columns of a pair say who dials. */
  #table() {
    const columns = this.kinds.flatMap(kind => [
      { kind, direction: 'out', title: `ours → ${kind.name}` },
      { kind, direction: 'in', title: `ours ← ${kind.name}` }
    ])
    const rows = [
      ['scenario (→ who is dialled)', ...columns.map(({ title }) => title)],
      ...this.#scenarios.map(scenario => [
        scenario.title,
        ...columns.map(({ kind, direction }) => {
          const cell = this.#cells.get(`${scenario.name} ${kind.name} ${direction}`)
          return cell === undefined ? '' : MARKS[cell.passed]
        })
      ])
    ]
    const widths = rows[0].map((_, column) => Math.max(3, ...rows.map(row => row[column].length)))
    const line = row => `| ${row.map((text, column) => text.padEnd(widths[column])).join(' | ')} |`
    const rule = `| ${widths.map(width => '-'.repeat(width)).join(' | ')} |`
    return [line(rows[0]), rule, ...rows.slice(1).map(line)].join('\n')
  }

  async #intoDocs(table) {
    const text = await readFile(DOCS, 'utf8').catch(() => '')
    const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)]
    if (begin < 0 || end < begin) return console.log(`docs/interop.md has no place for the matrix`)
    const leftOut = this.#leftOut.map(line => `\nLeft out: ${line}.`).join('')
    const block = `${BEGIN}\n\n${table}\n${leftOut && `${leftOut}\n`}\n`
    await writeFile(DOCS, text.slice(0, begin) + block + text.slice(end))
  }
}
