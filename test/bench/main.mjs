/** `npm run bench`: reads the command line, runs what it asks for, reports. */
import { parseArgs } from 'node:util'
import { createCertificate } from './certificate.mjs'
import { writeChart } from './chart.mjs'
import { measureConnecting, measureCrowd } from './connecting.mjs'
import { CONTENDERS } from './contenders/index.mjs'
import { guardedCells, isInDoubt, judge } from './guard.mjs'
import { boundedFlight, MIN_SIZE } from './load.mjs'
import { measureCell } from './messages.mjs'
import { withChildren } from './processes.mjs'
import * as report from './report.mjs'
import { summary } from './statistics.mjs'

/** Largest message that every contender is set up for. */
const MAX_SIZE = 8 * 1024 * 1024
const AEAD_MS = 300
const SECTIONS = ['aead', 'connecting', 'crowd']
const KIB = 1024
const MIB = KIB * KIB

const PRESETS = {
  quick: {
    only: ['bitvmx-p2p', 'stream-per-message', 'ws', 'tcp'],
    cells: [
      { size: 100, flight: 1 },
      { size: 100, flight: 1_024 },
      { size: MIB, flight: 8 }
    ],
    rounds: 3,
    ms: 1_000
  },
  full: {
    only: [...CONTENDERS, ...SECTIONS],
    cells: grid([100, 1_000, 64 * KIB, 150_000, 620_000, MIB, 8 * MIB], [1, 8, 64, 1_024]),
    rounds: 5,
    ms: 1_000
  },
  guard: { only: CONTENDERS, cells: guardedCells(), rounds: 5, maxRounds: 20, ms: 500 }
}

const HELP = `npm run bench -- [options]

Measures acknowledged messages between two processes of this machine, this module beside others.

  --quick          two sizes, the nearest peers, about a minute (default)
  --full           every size, contender and section, about half an hour
  --guard          fails (exit code 1) when this module falls below stated multiples of its peers; about 20 s
  --only a,b       contenders: ${CONTENDERS.join(', ')};
                   sections: ${SECTIONS.join(', ')}
  --sizes 100,1MiB message sizes: bytes, or with B, kB, KiB, MB, MiB; ${MIN_SIZE} B to ${report.bytesText(MAX_SIZE)}
  --flight 1,64    messages in flight
  --rounds n       how often each measurement is repeated
  --long           crowds of 500 peers, too
  --publish        write the chart to docs/bench.svg
  --help           this text

Tables go to stdout, everything that was measured to test/bench/results.`

const options = optionsOrUndefined()
if (options === undefined) process.exitCode = 2
else if (options.help) console.log(HELP)
else process.exitCode = await run(options)

async function run({ preset, only, cells, rounds, maxRounds, ms, long, publish }) {
  const contenders = await loadable(CONTENDERS.filter(name => only.includes(name)))
  const sections = SECTIONS.filter(name => only.includes(name))
  const environment = report.environment()
  const results = { environment, rounds, ms, cells: [] }
  const planned = contenders.length > 0 ? cells : []
  const progress = report.createProgress(planned.length + sections.length)
  const part = async (title, measure, print) => {
    progress.part(title)
    const measured = await measure(progress.show)
    progress.partDone()
    console.log(print(measured))
    return measured
  }

  console.log(report.environmentText(environment))
  const tls = await createCertificate()
  for (const { size, flight, contenders: wanted = contenders } of planned) {
    const title = `${report.bytesText(size)}, ${flight} in flight`
    const init = { contenders: wanted, size, flight, rounds, maxRounds, isInDoubt, ms, tls }
    results.cells.push(
      await part(title, async show => measureCell({ ...init, progress: show }), report.cellTable)
    )
  }
  if (sections.includes('aead')) {
    results.aead = await part('aead', async () => measureAead(rounds), report.aeadTable)
  }
  if (sections.includes('connecting')) {
    const measure = async show => measureConnecting({ rounds, progress: show })
    results.connecting = await part('connecting', measure, report.connectingTable)
  }
  if (sections.includes('crowd')) {
    const counts = long ? [1, 10, 100, 500] : [1, 10, 100]
    results.crowd = await part(
      'crowd',
      async show => measureCrowd({ counts, progress: show }),
      report.crowdTable
    )
  }
  console.log(report.notes())
  console.log(report.writeResults(results))
  if (publish) writeChart(results)

  if (preset === 'guard') {
    const judged = judge(results.cells)
    console.log(`\n${report.guardLines(judged).join('\n')}`)
    return judged.every(({ ok }) => ok) ? 0 : 1
  }
  return results.cells.some(cell => cell.results.some(({ failure }) => failure !== undefined)) ? 1 : 0
}

/** Those contenders that load on this machine: one may lack a binary for it. The others are named. */
async function loadable(names) {
  return withChildren(1, async child => {
    const found = []
    for (const name of names) {
      const reason = await child.call('tryLoad', name)
      if (reason === undefined) found.push(name)
      else console.log(`skipped ${name}: ${reason}`)
    }
    return found
  })
}

async function measureAead(rounds) {
  return withChildren(1, async child => {
    const measured = []
    for (let i = 0; i < rounds; i++) measured.push(await child.call('aead', { ms: AEAD_MS }))
    return {
      seal: summary(measured.map(({ seal }) => seal)),
      open: summary(measured.map(({ open }) => open))
    }
  })
}

function optionsOrUndefined() {
  try {
    return readOptions()
  } catch (err) {
    console.error(`${err.message}\n\n${HELP}`)
    return undefined
  }
}

function readOptions() {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean' },
      full: { type: 'boolean' },
      guard: { type: 'boolean' },
      only: { type: 'string' },
      sizes: { type: 'string' },
      flight: { type: 'string' },
      rounds: { type: 'string' },
      long: { type: 'boolean', default: false },
      publish: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false }
    }
  })
  const preset = values.guard ? 'guard' : values.full ? 'full' : 'quick'
  const { only, cells, rounds, maxRounds, ms } = PRESETS[preset]
  const sizes = values.sizes?.split(',').map(readSize)
  const flights = values.flight?.split(',').map(text => readWhole('--flight', text, 65_536))
  const own = sizes !== undefined || flights !== undefined
  const unique = key => [...new Set(cells.map(cell => cell[key]))]
  return {
    preset,
    only: values.only === undefined ? only : readNames(values.only),
    cells: own && preset !== 'guard' ? grid(sizes ?? unique('size'), flights ?? unique('flight')) : cells,
    rounds: values.rounds === undefined ? rounds : readWhole('--rounds', values.rounds, 1_000),
    maxRounds,
    ms,
    long: values.long,
    publish: values.publish,
    help: values.help
  }
}

/** Every size with every flight that its bytes allow. */
function grid(sizes, flights) {
  return sizes.flatMap(size =>
    [...new Set(flights.map(flight => boundedFlight(size, flight)))].map(flight => ({ size, flight }))
  )
}

function readNames(text) {
  const known = [...CONTENDERS, ...SECTIONS]
  const names = text.split(',')
  const unknown = names.find(name => !known.includes(name))
  if (unknown !== undefined) throw new Error(`--only ${unknown}: wanted some of ${known.join(', ')}`)
  return names
}

function readSize(text) {
  const units = { '': 1, B: 1, kB: 1_000, KB: 1_000, KiB: KIB, MB: 1e6, MiB: MIB }
  const [, amount, unit] = /^(\d{1,9}) ?([a-zA-Z]*)$/.exec(text) ?? []
  const size = Number(amount) * (units[unit] ?? NaN)
  if (size >= MIN_SIZE && size <= MAX_SIZE) return size
  throw new Error(`--sizes ${text}: wanted ${MIN_SIZE} B to ${report.bytesText(MAX_SIZE)}`)
}

function readWhole(option, text, max) {
  const value = Number(text)
  if (Number.isInteger(value) && value >= 1 && value <= max) return value
  throw new Error(`${option} ${text}: wanted a whole number from 1 to ${max}`)
}
