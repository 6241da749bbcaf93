/**
 * Tries the package as those do who install it: `npm run test:package`. Packs it, installs the archive in an empty folder
 * where `engines` are laws, runs it there on several versions of Node, compiles programs against its types with several
 * compilers, and validates its bill of materials. The last line is "N passed, N failed".
 */
import { execFile } from 'node:child_process'
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { Spec, Validation } from '@cyclonedx/cyclonedx-library'
import { NODE_VERSIONS } from '../support/node-versions.mjs'
import { conclude, test } from '../support/report.mjs'

const here = import.meta.dirname
const root = resolve(here, '../..')
const run = promisify(execFile)

/** Packages of an installation, this one included. */
const MOST_PACKAGES = 30
/** TypeScript from this on is tried with the newest types of Node, too; older ones cannot read those. */
const READS_NEWEST_TYPES = 5.6
const AT_ONCE = 2

const folder = mkdtempSync(join(tmpdir(), 'bitvmx-p2p-package-'))
try {
  const consumer = join(folder, 'consumer')
  cpSync(join(here, 'programs'), consumer, { recursive: true })
  writeFileSync(join(consumer, 'package.json'), '{ "private": true }')
  cpSync(join(consumer, 'types.mts'), join(consumer, 'types.cts'))
  await test('installs where engines are laws', () => install(consumer))
  await test(`runs on Node ${process.versions.node}`, () => runOn([process.execPath]))
  // Beside the one that runs this. One that cannot be installed is left out.
  for (const version of Object.values(NODE_VERSIONS)) {
    const node = ['npm', 'exec', '--yes', `--package=node@${version}`, '--', 'node']
    const isThere = await run(node[0], [...node.slice(1), '--version']).then(
      () => true,
      () => false
    )
    if (isThere) await test(`runs on Node ${version}`, () => runOn(node))
    else console.log(`left out: Node ${version}, which could not be installed`)
  }
  await test('the bill of materials is valid CycloneDX', validate)
  const compilations = readdirSync(join(here, 'node_modules'))
    .filter(name => name.startsWith('typescript-'))
    .flatMap(compilationsOf)
  await Promise.all(Array.from({ length: AT_ONCE }, () => work(compilations)))

  async function runOn([command, ...args]) {
    const { stdout, stderr } = await run(command, [...args, 'run.cjs'], { cwd: consumer })
    if (stderr !== '') throw new Error(`it says ${stderr}`)
    return stdout.trim()
  }

  async function work(queue) {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const { name, compiler, config } = next
      await test(name, () => compile(join(consumer, `${name}.json`), compiler, config))
    }
  }

  async function validate() {
    const bill = readFileSync(join(consumer, 'node_modules/bitvmx-p2p/dist/worker/bom.cdx.json'), 'utf8')
    const problem = await new Validation.JsonStrictValidator(Spec.Version.v1dot6).validate(bill)
    if (problem !== null) throw new Error(JSON.stringify(problem))
  }
} finally {
  rmSync(folder, { recursive: true })
}
conclude()

async function install(consumer) {
  await run('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], { cwd: root })
  const archive = readdirSync(folder).find(name => name.endsWith('.tgz'))
  await run('npm', ['install', '--engine-strict', '--no-audit', '--no-fund', `../${archive}`], {
    cwd: consumer
  })
  const { stdout } = await run('npm', ['ls', '--all', '--parseable'], { cwd: consumer })
  const packages = stdout.trim().split('\n').length - 1
  if (packages > MOST_PACKAGES) throw new Error(`${packages} packages, at most ${MOST_PACKAGES}`)
  return `${packages} packages`
}

/** How programs of one compiler find the package, and the types of Node. */
function compilationsOf(compiler) {
  const version = Number(compiler.slice('typescript-'.length))
  const ways = [
    { resolution: { module: 'node16' } },
    { resolution: { module: 'nodenext' }, types: 'node-20' },
    ...(version < READS_NEWEST_TYPES ? [] : [{ resolution: { module: 'nodenext' }, types: 'node-26' }]),
    { resolution: { module: 'esnext', moduleResolution: 'bundler' } }
  ]
  return ways.map(({ resolution, types }) => ({
    compiler,
    name: `${compiler}, ${resolution.moduleResolution ?? resolution.module}, ${types ?? 'no types of Node'}`,
    config: configOf(resolution, types)
  }))
}

function configOf(resolution, types) {
  const isBundler = resolution.moduleResolution === 'bundler'
  return {
    compilerOptions: {
      ...resolution,
      target: 'es2022',
      strict: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      skipLibCheck: false,
      noEmit: true,
      typeRoots: [typesFolder(types)],
      types: types === undefined ? [] : ['node']
    },
    files: isBundler ? ['types.mts'] : ['types.mts', 'types.cts', 'mixed.mts', 'theirs.cts']
  }
}

/** A folder in which the types of one Node are found as `node`. */
function typesFolder(types) {
  const path = join(folder, types ?? 'none')
  mkdirSync(path, { recursive: true })
  if (types !== undefined && readdirSync(path).length === 0) {
    symlinkSync(join(here, 'node_modules', `${types}-types`), join(path, 'node'))
  }
  return path
}

async function compile(path, compiler, config) {
  writeFileSync(path, JSON.stringify(config))
  const tsc = join(here, 'node_modules', compiler, 'bin/tsc')
  await run(process.execPath, [tsc, '-p', basename(path)], { cwd: join(path, '..') })
}
