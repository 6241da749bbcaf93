import type { Tally } from './duties.ts'
import { bytes, digits } from './format.ts'
import type { Screen } from './screen.ts'

/** A group of columns under one title. */
interface Group {
  title: string
  columns: Array<{ title: string; cell: (tally: Tally) => string }>
}

const NONE = '–'
const trip = (key: 'min' | 'median' | 'p99' | 'max') => ({
  title: key,
  cell: ({ roundTrip }: Tally): string => (roundTrip === undefined ? NONE : digits(roundTrip[key]))
})

const GROUPS: Group[] = [
  {
    title: 'messages',
    columns: [
      { title: 'out', cell: tally => String(tally.sent) },
      { title: 'in', cell: tally => String(tally.received) }
    ]
  },
  {
    title: 'bytes',
    columns: [
      { title: 'out', cell: tally => bytes(tally.bytesSent) },
      { title: 'in', cell: tally => bytes(tally.bytesReceived) }
    ]
  },
  { title: '', columns: [{ title: 'acks', cell: tally => String(tally.acks) }] },
  { title: 'sendMsg to Status, ms', columns: [trip('min'), trip('median'), trip('p99'), trip('max')] },
  {
    title: 'dial',
    columns: [{ title: 'ms', cell: ({ dialMs }) => (dialMs === undefined ? NONE : digits(dialMs)) }]
  }
]

/** What each participant has sent and received, as a table. */
export function printTallies(screen: Screen, participants: Array<{ name: string; tally: Tally }>): void {
  const nameWidth = Math.max(...participants.map(({ name }) => name.length))
  const lines = participants.map(({ name }) => `  ${name.padEnd(nameWidth)}`)
  let titles = ' '.repeat(nameWidth + 2)
  let heads = titles
  for (const { title, columns } of GROUPS) {
    const group = columns.map(column => {
      const cells = participants.map(({ tally }) => column.cell(tally))
      return {
        title: column.title,
        cells,
        width: Math.max(...[column.title, ...cells].map(text => text.length))
      }
    })
    const between = 2 * (group.length - 1)
    const wanting = title.length - between - group.reduce((sum, { width }) => sum + width, 0)
    group[0]!.width += Math.max(0, wanting)
    for (const { title: head, cells, width } of group) {
      heads += `  ${head.padStart(width)}`
      for (const [row, cell] of cells.entries()) lines[row] += `  ${cell.padStart(width)}`
    }
    titles = titles.padEnd(heads.length - title.length) + title
  }
  screen.line(screen.style('dim', titles))
  screen.line(screen.style('dim', heads))
  for (const line of lines) screen.line(line)
}
