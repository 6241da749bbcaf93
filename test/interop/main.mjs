/** Runs the matrix: our module with every other implementation that this machine can build. See docs/interop.md. */
import { parseArgs } from 'node:util'
import { Cell } from './cell.mjs'
import { build, cacheFolder, NAMES, OURS } from './kinds.mjs'
import { Matrix } from './matrix.mjs'
import { killAll } from './peers.mjs'
import { SCENARIOS } from './scenarios/index.mjs'
import { measureSpeed } from './speed.mjs'

const HELP = `Usage: npm run interop -- [options]

  --only NAMES       other implementations, of ${NAMES.join(',')} (our module with itself always runs)
  --scenario NAMES   ${SCENARIOS.map(({ name }) => name).join(',')}
  --speed            messages a second between several kinds of peers, in place of the scenarios
  --quick            smaller messages, and fewer
  --no-docs          leave docs/interop.md as it is (so do --only, --scenario and --quick)
  --help

Builds and results are kept in BITVMX_INTEROP_CACHE, now ${cacheFolder()}`

/** No scenario takes as long as this unless it says so: one that hangs is a failure. */
const CELL_MS = 180_000

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    scenario: { type: 'string' },
    quick: { type: 'boolean', default: false },
    speed: { type: 'boolean', default: false },
    'no-docs': { type: 'boolean', default: false },
    help: { type: 'boolean', default: false }
  }
})

if (values.help) console.log(HELP)
else process.exit((await main()) ? 0 : 1)

async function main() {
  const names = chosen(values.only, NAMES, 'implementation')
  const scenarios = chosen(
    values.scenario,
    SCENARIOS.map(({ name }) => name),
    'scenario'
  ).map(name => SCENARIOS.find(scenario => scenario.name === name))
  const start = performance.now()
  const { kinds, leftOut, broken } = await build(names, say)
  if (values.speed) {
    console.log(`\n${await measureSpeed(kinds, say)}`)
    return true
  }
  const matrix = new Matrix(scenarios, [OURS, ...kinds], { leftOut, broken })
  for (const kind of matrix.kinds) {
    for (const scenario of scenarios) {
      for (const direction of ['out', 'in']) {
        if (!scenario.applies(kind) || (scenario.once && direction === 'in')) continue
        const result = await attempt(scenario, kind, direction)
        matrix.set(scenario, kind, direction, result)
        const { passed, ms, text } = result
        const where = `${scenario.name}, ${kind.name}${scenario.once ? '' : ` ${direction}`}`
        say(`${passed ? 'ok    ' : 'FAILED'} ${where} ${(ms / 1_000).toFixed(1)} s ${text}`)
      }
    }
  }
  const minutes = (performance.now() - start) / 60_000
  await matrix.report({
    minutes,
    docs: !values['no-docs'] && !values.only && !values.scenario && !values.quick
  })
  return matrix.failed === 0
}

/** Runs a scenario for one cell, with an end in any case. */
async function attempt(scenario, kind, direction) {
  const cell = new Cell(kind, direction)
  const start = performance.now()
  const result = (passed, text) => ({ passed, ms: performance.now() - start, text })
  let timer
  try {
    const { ms = CELL_MS } = scenario
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`not over after ${ms / 1_000} s`)), ms)
    })
    await Promise.race([scenario.run(cell, { quick: values.quick }), late])
    return result(true, cell.notes.join('; '))
  } catch (err) {
    return result(false, err.message)
  } finally {
    clearTimeout(timer)
    await cell.end()
    killAll()
  }
}

function chosen(list, all, what) {
  const names = list?.split(',').filter(Boolean) ?? all
  const unknown = names.find(name => !all.includes(name))
  if (unknown === undefined) return names
  console.error(`There is no ${what} ${unknown}; there are ${all.join(', ')}.`)
  process.exit(2)
}

function say(line) {
  console.log(line)
}
