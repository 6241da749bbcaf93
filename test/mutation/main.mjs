/** `npm run test:mutation`: changes the sources in small ways, one at a time, and tells which changes no unit test notices. */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { Stryker } from '@stryker-mutator/core'
import { describe, report, sourcesOf, summarise } from './report.mjs'

/** What is changed when nothing is named. */
const ROOMS = [
  'protocol',
  'runtime',
  'gater',
  'libp2p',
  'rate-limiter',
  'allow-list',
  'bridge',
  'application'
]
/** Share of the changes of each room that must be noticed, in percent. */
const FLOOR = 85
/** A change that makes a test hang is noticed when the test has taken this much longer than it does otherwise. */
const HANG_MS = 10_000

const HELP = `npm run test:mutation -- [options] [rooms or files]

Changes the sources in small ways, one at a time (a condition turned round, a block left out, + for -), and runs the unit
tests that reach the change. A change that no test notices is a survivor: a test is missing, or the change makes no
difference. Survivors of the second kind are judged in test/mutation/survivors.json, with the reason, and do not count.

  rooms            folders of src, or files: ${ROOMS.join(' ')} (default)
  --concurrency n  test runners at a time (default 2)
  --help           this text

Ends with exit code 1 when fewer than ${FLOOR} % of a room's changes are noticed. The score of each room, and every
survivor with the line that it changed, go to test/mutation/report.`

const folder = import.meta.dirname
const root = resolve(folder, '../..')

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { concurrency: { type: 'string', default: '2' }, help: { type: 'boolean', default: false } }
})

if (values.help) console.log(HELP)
else process.exitCode = await main()

async function main() {
  const patterns = (positionals.length > 0 ? positionals : ROOMS).map(toPattern)
  const wrong = patterns.find(({ path }) => !existsSync(join(root, path)))
  if (wrong !== undefined) {
    console.error(`there is no ${wrong.path}\n\n${HELP}`)
    return 2
  }
  process.chdir(root)
  // What is edited meanwhile is not what was tried.
  const sources = sourcesOf(root)
  const results = await new Stryker(options(patterns.map(({ pattern }) => pattern))).runMutationTest()
  const judged = JSON.parse(readFileSync(join(folder, 'survivors.json'), 'utf8'))
  const changes = results.map(result => describe(result, root, sources))
  const { rooms, stale } = summarise(changes, judged)
  console.log(report(rooms, stale, FLOOR, join(folder, 'report')))
  return rooms.every(({ score }) => score >= FLOOR) ? 0 : 1
}

function toPattern(name) {
  const path = name.startsWith('src/') ? name : `src/${name}`
  const isFolder = existsSync(join(root, path)) && statSync(join(root, path)).isDirectory()
  return { path, pattern: isFolder ? `${path}/**/*.ts` : path }
}

function options(mutate) {
  return {
    mutate,
    // Texts are for people, or they are names of a union, which the compiler checks.
    mutator: { excludedMutations: ['StringLiteral'] },
    testRunner: 'vitest',
    plugins: [fileURLToPath(import.meta.resolve('@stryker-mutator/vitest-runner'))],
    vitest: { configFile: 'test/mutation/vitest.config.mjs' },
    // The sandbox is a copy of what unit tests read.
    ignorePatterns: [
      '/dist',
      '/docs',
      '/coverage',
      ...['adversarial', 'bench', 'bundlers', 'integration', 'interop', 'package'].map(
        part => `/test/${part}`
      ),
      '/test/mutation/node_modules',
      '/test/mutation/report'
    ],
    tempDirName: 'test/mutation/.sandbox',
    cleanTempDir: 'always',
    // Node strips the types; nothing reads this.
    tsconfigFile: 'none.json',
    disableTypeChecks: false,
    allowConsoleColors: false,
    concurrency: Number(values.concurrency),
    timeoutMS: HANG_MS,
    logLevel: 'warn',
    reporters: ['progress']
  }
}
