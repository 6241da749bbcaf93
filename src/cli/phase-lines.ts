import type { PhaseProgress } from './duties.ts'
import { bytes, duration, rate } from './format.ts'
import { PHASES } from './phases.ts'
import type { Row, Screen } from './screen.ts'

const BAR_CELLS = 16
const NAME_WIDTH = Math.max(...PHASES.map(({ name }) => name.length))
const COLUMNS = [
  { title: 'messages', width: 8 },
  { title: 'bytes', width: 7 },
  { title: 'time', width: 7 },
  { title: 'rate', width: 9 }
]

/** What stands above `phaseRows`. */
export function phaseTitles(screen: Screen): string {
  const titles = COLUMNS.map(({ title }) => title)
  return screen.style('dim', line(' ', '', screen.noBar(BAR_CELLS), titles))
}

/** The phases as lines of a live screen. */
export function phaseRows(screen: Screen, phases: PhaseProgress[], expected: number): Row[] {
  return PHASES.map(({ name }, i) => {
    const { messages, bytes: size, ms } = phases[i] ?? { messages: 0, bytes: 0, ms: 0 }
    const final = messages === expected
    const mark = messages === 0 ? ' ' : screen.mark(final)
    const cells = messages === 0 ? [] : [`${messages}/${expected}`, bytes(size), duration(ms), rate(size, ms)]
    return { text: line(mark, name, screen.bar(messages / expected, BAR_CELLS), cells), final }
  })
}

function line(mark: string, name: string, bar: string, cells: string[]): string {
  const columns = cells.map((cell, i) => `  ${cell.padStart(COLUMNS[i]!.width)}`).join('')
  return `  ${mark} ${name.padEnd(NAME_WIDTH)}${bar}${columns}`
}
