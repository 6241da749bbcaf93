// Bundles the program of docs/bundling.md with the configurations that stand there, and runs what comes out in a folder of
// its own: main.mjs [name]. The last line it prints is "N passed, N failed".
import { execFileSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { conclude, test } from '../support/report.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const root = join(here, '../..')
const BOUNDED = {
  encoding: 'utf8',
  timeout: 120_000,
  killSignal: 'SIGKILL',
  stdio: ['ignore', 'pipe', 'pipe']
}

/** Of an error without this Node shows the line that threw, which is the whole bundle. */
const PLAIN_ERRORS = `data:text/javascript,${encodeURIComponent(
  'process.on("uncaughtException", err => { console.error(err.stack); process.exit(1) })'
)}`

/** The code blocks of the document that name a file in their first line. */
const shown = Object.fromEntries(
  Array.from(
    readFileSync(join(root, 'docs/bundling.md'), 'utf8').matchAll(
      /```js\n\/\/ (?<name>\S+)\n(?<text>[^]*?)```/g
    ),
    ({ groups: { name, text } }) => [name, text]
  )
)

function replaced(text, ...pairs) {
  for (const [from, to] of pairs) {
    if (!text.includes(from)) throw new Error(`docs/bundling.md has no ${from}`)
    text = text.replace(from, to)
  }
  return text
}

const option = "{\n  workerUrl: new URL('worker.mjs', import.meta.url)\n}"
const app = shown['app.mjs']
const bare = replaced(app, [`, ${option}`, ''])
/** In CommonJS nothing is awaited outside of a function. */
const wrapped = text => {
  const [head, ...rest] = text.split('\n\n')
  return `${head}\n\nvoid (async () => {\n${rest.join('\n\n')}\n})()\n`
}
const byDirname = replaced(app, [option, "{ workerUrl: require('node:path').join(__dirname, 'worker.mjs') }"])

const esbuild = shown['esbuild.config.mjs']
const webpack = shown['webpack.config.mjs']
const rollup = shown['rollup.config.mjs']
const banner = /\n {2}\/\/ One dependency[^]*?\n {2}\}/.exec(esbuild)[0]

/** What the document shows, and the variants that it tells of. */
const cases = [
  { name: 'esbuild', program: app, config: ['esbuild.config.mjs', esbuild] },
  {
    name: 'esbuild, CommonJS',
    program: wrapped(byDirname),
    config: [
      'esbuild.config.mjs',
      replaced(esbuild, [banner, ''], ["'esm'", "'cjs'"], ['out/app.mjs', 'out/app.cjs'])
    ]
  },
  { name: 'webpack', program: bare, config: ['webpack.config.mjs', webpack] },
  {
    name: 'webpack, modules',
    program: bare,
    config: [
      'webpack.config.mjs',
      replaced(
        webpack,
        ["filename: 'app.cjs',", "filename: 'app.mjs', module: true,"],
        ["mode: 'production',", "mode: 'production',\n  experiments: { outputModule: true },"]
      )
    ]
  },
  { name: 'Rollup', program: app, config: ['rollup.config.mjs', rollup] },
  {
    name: 'Rollup, CommonJS',
    program: wrapped(app),
    config: ['rollup.config.mjs', replaced(rollup, ["'es'", "'cjs'"], ['out/app.mjs', 'out/app.cjs'])]
  }
]

const commands = {
  esbuild: ['esbuild.config.mjs'],
  webpack: [join(here, 'webpack.mjs')],
  rollup: [join(here, 'node_modules/rollup/dist/bin/rollup'), '-c', '--silent']
}

/** The package stands among the bundlers' as an installed one would. */
function link() {
  const path = join(here, 'node_modules/bitvmx-p2p')
  rmSync(path, { recursive: true, force: true })
  symlinkSync(root, path, 'dir')
}

/** Builds in a folder below this one, where the bundlers are found; the result, in a folder that has nothing else in it. */
function build({ program, config: [configName, config] }) {
  const folder = mkdtempSync(join(here, 'build-'))
  try {
    writeFileSync(join(folder, 'app.mjs'), program)
    writeFileSync(join(folder, configName), config)
    const [name] = configName.split('.')
    execFileSync(process.execPath, commands[name], { ...BOUNDED, cwd: folder })
    const out = mkdtempSync(join(tmpdir(), 'bundled-'))
    cpSync(join(folder, 'out'), out, { recursive: true })
    // The strictest there is: a file that relied on the package's own "type" would not load.
    writeFileSync(join(out, 'package.json'), '{ "type": "commonjs" }')
    return out
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function run(out) {
  const name = ['app.mjs', 'app.cjs'].find(file => existsSync(join(out, file)))
  return execFileSync(process.execPath, ['--no-warnings', '--import', PLAIN_ERRORS, name], {
    ...BOUNDED,
    cwd: out
  })
}

function assertMissingIsTold(out) {
  const worker = readdirSync(out).find(file => file.endsWith('.mjs') && !file.startsWith('app.'))
  rmSync(join(out, worker))
  try {
    run(out)
  } catch (err) {
    if (err.stderr.includes(`its file ${join(out, worker)} is missing`) && err.stderr.includes('workerUrl'))
      return
    throw err
  }
  throw new Error('it runs without the file of its thread')
}

mkdirSync(join(here, 'node_modules'), { recursive: true })
link()
const only = process.argv[2] ?? ''
for (const one of cases.filter(({ name }) => name.startsWith(only))) {
  await test(one.name, () => {
    let out
    try {
      out = build(one)
      const printed = run(out)
      if (printed !== 'running\n') throw new Error(`it prints ${JSON.stringify(printed)}`)
      assertMissingIsTold(out)
    } finally {
      if (out !== undefined) rmSync(out, { recursive: true })
    }
  })
}
conclude()
