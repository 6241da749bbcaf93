import { execFile, spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { generatePrivateKey, P2p } from 'bitvmx-p2p'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

/** Far below the 30 s after which a silent thread is given up: whoever is told later was not told at once. */
const AT_ONCE = { timeout: 15_000, killSignal: 'SIGKILL' } as const
/** Enough for Node itself to come up; the program then takes all that is left. */
const DESCRIPTORS = 256

const program = fileURLToPath(new URL('../support/programs/start-failure.mjs', import.meta.url))
const packed = fileURLToPath(new URL('../../dist/worker/worker.mjs', import.meta.url))

interface Failure {
  code?: string
  message?: string
}

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'start-'))
  chmodSync(folder, 0o755)
})
afterAll(() => rmSync(folder, { recursive: true }))

function file(name: string, content: string): string {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

async function failure(command: string, args: string[], options: object = {}): Promise<Failure> {
  const { stdout } = await promisify(execFile)(command, args, { ...AT_ONCE, ...options })
  return JSON.parse(stdout) as Failure
}

async function failureOf(way: string, options: object, spawning: object = {}): Promise<Failure> {
  return failure(process.execPath, [program, '127.0.0.1:0', way, JSON.stringify(options)], spawning)
}

describe.each(['start', 'startAsync'])('%s says at once why the thread cannot start', way => {
  test.each([0, 1, 2, 3, 4, 5])('with %i file descriptors left', async free => {
    const script = `ulimit -n ${DESCRIPTORS}; exec "$0" "$@"`
    const args = ['-c', script, process.execPath, program, '127.0.0.1:0', way, '{}', String(free)]
    expect(await failure('/bin/sh', args)).toEqual({
      code: 'ERR_RUNTIME_FAILED',
      message: 'the runtime thread cannot start: EMFILE: this process has no file descriptors left for it'
    })
  })

  test('when its file is missing, which it names, with the remedy', async () => {
    const workerUrl = join(folder, 'nowhere.mjs')
    expect(await failureOf(way, { workerUrl })).toEqual({
      code: 'ERR_RUNTIME_FAILED',
      message:
        `the runtime thread cannot start: its file ${workerUrl} is missing. Bundled programs give its place in ` +
        "options.workerUrl: it is 'bitvmx-p2p/worker', a copy of which does (docs/bundling.md)"
    })
  })

  test.each([
    ['is not JavaScript', 'const x = ;', "Unexpected token ';'"],
    ['throws', 'throw new Error("no good")', 'no good'],
    ['throws what is no error', 'throw "no good"', 'no good'],
    ['throws more than anybody wants to read', 'throw new Error("x".repeat(10_000))', 'x'.repeat(500)]
  ])('when its file %s', async (_, content, cause) => {
    const workerUrl = file('wrong.mjs', content)
    expect(await failureOf(way, { workerUrl })).toEqual({
      code: 'ERR_RUNTIME_FAILED',
      message: `the runtime thread cannot start: its file ${workerUrl} does not load: ${cause}`
    })
  })

  test.each([
    ['ends the thread', 'process.exit(0)'],
    ['is another program', 'export {}']
  ])('when its file %s', async (_, content) => {
    const workerUrl = file('other.mjs', content)
    expect(await failureOf(way, { workerUrl })).toEqual({
      code: 'ERR_RUNTIME_FAILED',
      message: 'the runtime thread failed: it ended without a word'
    })
  })

  test('when its file is a copy of another version', async () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }
    const content = readFileSync(packed, 'utf8')
    expect(content).toContain(`"${version}"`)
    const workerUrl = file('outdated.mjs', content.replaceAll(`"${version}"`, '"0.0.1"'))
    expect(await failureOf(way, { workerUrl })).toEqual({
      code: 'ERR_RUNTIME_FAILED',
      message: `the runtime thread's file is of version 0.0.1, wanted ${version}: a copy of it is outdated`
    })
  })

  test.skipIf(!isForNobody())('when this user may not read its file', async () => {
    const workerUrl = file('secret.mjs', '')
    chmodSync(workerUrl, 0)
    const { code, message } = await failureOf(way, { workerUrl }, NOBODY)
    expect(code).toBe('ERR_RUNTIME_FAILED')
    expect(message).toContain(`its file ${workerUrl} does not load: EACCES: permission denied`)
  })
})

test.each([
  ['a path', (path: string) => path],
  ['the text of a URL', (path: string) => pathToFileURL(path).href],
  ['a URL', (path: string) => pathToFileURL(path)]
])("the thread's file may lie elsewhere, and is named by %s", async (_, named) => {
  const path = file('kept elsewhere.mjs', readFileSync(packed, 'utf8'))
  const p2p = P2p.start('127.0.0.1:0', await generatePrivateKey(), { workerUrl: named(path) })
  expect(p2p.runtime.state).toBe('running')
  p2p.stop()
  await p2p.runtime.closed
})

const NOBODY = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {}

/** A Node that was installed into the home of root is for root alone. */
function isForNobody(): boolean {
  return spawnSync(process.execPath, ['--version'], NOBODY).error === undefined
}
