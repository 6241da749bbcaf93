/** The chart for the documentation: messages per second of every contender, one panel for each of a few cells. */
import { writeFileSync } from 'node:fs'
import { bytesText, environmentText, number } from './report.mjs'

const CHART = new URL('../../docs/bench.svg', import.meta.url)
/** Cells worth a panel, if they were measured: many small messages, and few large ones. */
const PANELS = [
  { size: 100, flight: 1_024, unit: 'messages/s', value: result => result.messagesPerSecond },
  { size: 1024 * 1024, flight: 8, unit: 'MB/s', value: result => result.bytesPerSecond, scale: 1e-6 }
]
const WIDTH = 720
const LABEL = 160
const BAR = 22
const VALUE = 90

/** Writes `docs/bench.svg`. */
export function writeChart({ environment, cells }) {
  const panels = PANELS.map(panel => {
    const cell = cells.find(({ size, flight }) => size === panel.size && flight === panel.flight)
    return { ...panel, results: (cell?.results ?? []).filter(({ failure }) => failure === undefined) }
  }).filter(({ results }) => results.length > 0)
  let y = 24
  const parts = []
  for (const panel of panels) {
    parts.push(drawPanel(panel, y))
    y += 44 + panel.results.length * BAR
  }
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y + 12}" font-family="sans-serif" font-size="13">
<rect width="100%" height="100%" fill="#ffffff"/>
${parts.join('\n')}
<text x="12" y="${y}" fill="#666666" font-size="10">${escape(environmentText(environment))}</text>
</svg>
`
  writeFileSync(CHART, svg)
}

function drawPanel({ size, flight, unit, value, scale = 1, results }, top) {
  const values = results.map(result => value(result).median * scale)
  const longest = Math.max(...values)
  const title = `${bytesText(size)}, ${flight.toLocaleString('en-US')} in flight: acknowledged ${unit}`
  const bars = results.map(({ contender }, i) => {
    const y = top + 12 + i * BAR
    const width = Math.max(1, (values[i] / longest) * (WIDTH - LABEL - VALUE - 12))
    const colour = contender === 'bitvmx-p2p' ? '#1a7f5a' : '#9aa5b1'
    return `<text x="${LABEL - 8}" y="${y + 14}" text-anchor="end">${escape(contender)}</text>
<rect x="${LABEL}" y="${y + 3}" width="${width.toFixed(1)}" height="${BAR - 8}" fill="${colour}"/>
<text x="${(LABEL + width + 6).toFixed(1)}" y="${y + 14}">${number(values[i])}</text>`
  })
  return `<text x="12" y="${top}" font-weight="bold">${escape(title)}</text>\n${bars.join('\n')}`
}

function escape(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}
