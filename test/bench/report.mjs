/** What the benchmark says while it runs and when it is done: progress, tables, and the file of all results. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { arch, cpus, loadavg, platform, totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'

const RESULTS = new URL('results/', import.meta.url)
const KIB = 1024
const MIB = KIB * KIB
const GIB = KIB * MIB

/** Under the tables: what a reader must know before comparing. */
const NOTES = `
msg/s and MB/s: median of the rounds (lowest to highest). MB = 10^6 bytes of payload.
Round trip: from handing a message over until its ack was read by the application, all rounds together.
CPU and memory: both processes, all their threads; peak RSS as sender + receiver.
In flight: at most 64 MiB; stream-per-message: at most 64 streams.
TLS chooses AES-256-GCM, which CPUs have instructions for; Noise means ChaCha20-Poly1305.
`

/** A line on a terminal that says what is being done; elsewhere, a line for each part. */
export function createProgress(total) {
  const begin = performance.now()
  const { stderr } = process
  let done = 0
  let title = ''
  const line = what => {
    const elapsed = Math.round((performance.now() - begin) / 1_000)
    return `[${Math.min(done + 1, total)}/${total}] ${title}${what === undefined ? '' : `: ${what}`}, ${elapsed} s`
  }
  const show = what => {
    if (stderr.isTTY) stderr.write(`\r\x1b[K${line(what).slice(0, stderr.columns - 1)}`)
  }
  return {
    part: next => {
      title = next
      if (!stderr.isTTY) stderr.write(`${line()}\n`)
    },
    show,
    partDone: () => {
      done++
      if (stderr.isTTY) stderr.write('\r\x1b[K')
    }
  }
}

/** Machine and versions: numbers mean nothing without. */
export function environment() {
  const models = cpus()
  return {
    node: process.version,
    platform: `${platform()} ${arch()}`,
    cpu: `${models.length} × ${models[0]?.model.trim()}`,
    memoryBytes: totalmem(),
    loadAverage: loadavg()[0],
    date: new Date().toISOString()
  }
}

export function environmentText({ node, platform: system, cpu, memoryBytes, loadAverage, date }) {
  const gib = Math.round(memoryBytes / GIB)
  return `${date.slice(0, 10)}, Node ${node}, ${system}, ${cpu}, ${gib} GiB, load ${loadAverage.toFixed(1)} at the start`
}

/** One cell: contenders side by side. */
export function cellTable({ size, flight, results }) {
  const ours = results.find(({ contender }) => contender === 'bitvmx-p2p')?.messagesPerSecond?.median
  const head = [
    '',
    'msg/s',
    '',
    'MB/s',
    'p50 ms',
    'p99',
    'p99.9',
    'CPU s/GB',
    's/M msg',
    'peak RSS MiB',
    'ours ×'
  ]
  const rows = results.map(result => {
    const { contender, failure, messagesPerSecond: rate, bytesPerSecond, roundTripMs, peakRss } = result
    if (failure !== undefined) return [contender, `failed: ${failure}`]
    return [
      contender,
      count(rate.median),
      `(${count(rate.low)} to ${count(rate.high)})`,
      number(bytesPerSecond.median / 1e6),
      number(roundTripMs.p50),
      number(roundTripMs.p99),
      number(roundTripMs.p999),
      number(result.cpuPerByte.median * 1e9),
      number(result.cpuPerMessage.median * 1e6),
      `${mib(peakRss.sender)} + ${mib(peakRss.receiver)}`,
      ours === undefined || contender === 'bitvmx-p2p' ? '' : number(ours / rate.median)
    ]
  })
  return table(`${bytesText(size)}, ${count(flight)} in flight`, [head, ...rows])
}

export function aeadTable({ seal, open }) {
  return table('limit: chacha20-poly1305 of node:crypto alone, 64 KiB', [
    ['', 'MB/s', ''],
    ['seal', ...range(seal, 1e-6)],
    ['open', ...range(open, 1e-6)]
  ])
}

export function connectingTable(results) {
  const rows = results.map(({ stack, startMs, connectMs }) => [stack, ...range(startMs), ...range(connectMs)])
  const note = 'bare libp2p: loading it and createLibp2p; dial and first stream'
  return table(`start and connect (${note})`, [
    ['', 'start to listening ms', '', 'dial to Connected ms', ''],
    ...rows
  ])
}

export function crowdTable(results) {
  const cells = ({ messages, seconds, p99, cpuSeconds }) => [
    count(messages / seconds),
    number(p99),
    number((cpuSeconds / messages) * 1e6)
  ]
  const rows = results.map(result => {
    const { stack, count: peers, failure, handshakesPerSecond, rssPerPeer, inAll, toEach } = result
    if (failure !== undefined) return [stack, count(peers), `failed: ${failure}`]
    const connected = [stack, count(peers), number(handshakesPerSecond), number(rssPerPeer / KIB)]
    return inAll === undefined ? connected : [...connected, ...cells(inAll), ...cells(toEach)]
  })
  const columns = ['msg/s', 'p99 ms', 'own CPU s/M msg']
  const note = '100,000 messages of 100 B shared among them; a crowd of bare libp2p nodes in one process'
  return table(`one node and many peers (${note}; first 1,000 in flight in all, then 64 to each)`, [
    ['', 'peers', 'handshakes/s', 'KiB/idle peer', ...columns, ...columns],
    ...rows
  ])
}

/** What each guard wanted and got. */
export function guardLines(judged) {
  return judged.map(({ size, flight, peer, atLeast, ratio, ok, failure }) => {
    const measured = failure === undefined ? `measured ${number(ratio)} ×` : `failed: ${failure}`
    const what = `${bytesText(size)}, ${count(flight)} in flight: at least ${atLeast} × ${peer}`
    return `${ok ? 'ok    ' : 'FAILED'}  ${what}; ${measured}`
  })
}

export function notes() {
  return NOTES
}

/** Writes everything that was measured; the file's path. */
export function writeResults(results) {
  mkdirSync(RESULTS, { recursive: true })
  const file = new URL(`${results.environment.date.replaceAll(':', '-')}.json`, RESULTS)
  writeFileSync(file, `${JSON.stringify(results, undefined, 2)}\n`)
  return fileURLToPath(file)
}

export function bytesText(size) {
  if (size >= MIB && size % MIB === 0) return `${size / MIB} MiB`
  if (size >= KIB && size % KIB === 0) return `${size / KIB} KiB`
  return size >= 1_000 && size % 1_000 === 0 ? `${size / 1_000} kB` : `${count(size)} B`
}

/** Three significant digits. */
export function number(value) {
  if (value === undefined || !Number.isFinite(value)) return '–'
  if (Math.abs(value) >= 100) return count(value)
  return value.toPrecision(3)
}

function count(value) {
  return Math.round(value).toLocaleString('en-US')
}

function range({ median, low, high }, scale = 1) {
  return [number(median * scale), `(${number(low * scale)} to ${number(high * scale)})`]
}

function mib(bytes) {
  return count(bytes / MIB)
}

/** Columns as wide as they need to be, the first to the left, the others to the right. */
function table(title, rows) {
  const widths = []
  for (const row of rows) {
    if (row.some(cell => cell.startsWith('failed'))) continue
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length)
  }
  widths[0] = Math.max(...rows.map(([first]) => first.length))
  const lines = rows.map(row =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('  ')
  )
  return [`\n${title}`, ...lines].map(line => line.trimEnd()).join('\n')
}
