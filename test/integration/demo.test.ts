import { spawn } from 'node:child_process'
import type { ChildProcessByStdio } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { generatePrivateKey, peerIdFromPrivateKey, publicKeyHash } from 'bitvmx-p2p'
import { afterAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))
const LINUX = process.platform === 'linux'

/** Files of these tests; and the directory for temporary files that the programs see, fresh for each test. */
const directory = mkdtempSync(join(tmpdir(), 'demo-test-'))
const temporary = join(directory, 'tmp')
afterAll(() => rmSync(directory, { recursive: true, force: true }))
beforeEach(() => {
  rmSync(temporary, { recursive: true, force: true })
  mkdirSync(temporary)
})

describe('demo', () => {
  it('takes a setup through its phases and turns a stranger away', async () => {
    const { code, stdout, stderr } = await run('demo', '--verifiers', '2')

    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/✓ operator +RSA +Qm/)
    expect(stdout).toMatch(/✓ verifier 1 +Ed25519 +12D3.* dial \d/)
    expect(stdout).toMatch(/✓ verifier 2 +secp256k1 +16Ui.* dial \d/)
    for (const phase of ['keys', 'public nonces', 'partial signatures']) {
      expect(stdout).toMatch(new RegExp(`✓ ${phase} +8/8 `))
    }
    expect(stdout).toMatch(/operator +12 +12 .* 12 /)
    expect(stdout).toMatch(/verifier 2 +6 +6 .* 6 /)
    expect(stdout).toMatch(/stranger sees {2}Error ERR_DIAL_FAILED: .*denied/)
    expect(stdout).toMatch(/operator sees {2}Error ERR_NOT_ALLOWED: .*127\.0\.0\.1/)
    expect(stdout).toContain('2 of 2 still connected; 2 of 2 acknowledged one more message')
    expect(stdout).toMatch(/Done in .*: 24 messages .* every message acknowledged/)
    expectNothingLeft(stdout)
  })

  it('sends a file, and its size and SHA-256 arrive', async () => {
    // More than the messages that may be under way.
    const contents = randomBytes(20 * 1024 * 1024)
    const path = join(directory, 'twenty.bin')
    writeFileSync(path, contents)
    const { code, stdout, stderr } = await run('demo', path)

    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toContain('20,971,520 bytes')
    expect(stdout).toContain(createHash('sha256').update(contents).digest('hex'))
    expect(stdout).toMatch(/speed +[\d.]+ [kMG]B\/s/)
    expectNothingLeft(stdout)
  })

  it('sends an empty file', async () => {
    const path = join(directory, 'empty')
    writeFileSync(path, '')
    const { code, stdout, stderr } = await run('demo', path)

    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toContain(createHash('sha256').digest('hex'))
  })

  it.runIf(LINUX)('ends with one message when a participant dies, and nothing is left', async () => {
    const demo = start('demo', '--verifiers', '2')
    const ending = result(demo)
    await until(demo, 'Participants')
    const members = participants(demo)
    process.kill(members.find(({ name }) => name === 'verifier 2')!.pid, 'SIGKILL')

    expect(await ending).toMatchObject({ code: 1, stderr: 'bitvmx-p2p: verifier 2 was ended by SIGKILL.\n' })
    expect(members.filter(isAlive)).toEqual([])
    expect(readdirSync(temporary)).toEqual([])
  })

  it.runIf(LINUX).each([
    ['SIGINT', 'Participants'],
    ['SIGTERM', 'Setup']
  ] as const)('leaves nothing behind on %s', async (signal, moment) => {
    const demo = start('demo', '--verifiers', '1')
    const ending = result(demo)
    await until(demo, moment)
    const members = participants(demo)
    expect(members.map(({ name }) => name)).toEqual(['operator', 'verifier 1', 'stranger'])
    demo.kill(signal)

    expect(await ending).toMatchObject({ signal, stderr: '' })
    expect(members.filter(isAlive)).toEqual([])
    expect(readdirSync(temporary)).toEqual([])
  })

  it.runIf(LINUX)('its participants end when it is killed, also in the middle of their work', async () => {
    const path = join(directory, 'large')
    writeFileSync(path, '')
    truncateSync(path, 4 * 1024 ** 3)
    const demo = start('demo', path)
    const ending = result(demo)
    await until(demo, 'Transfer')
    const members = participants(demo)
    demo.kill('SIGKILL')
    await ending

    expect(members.map(({ name }) => name)).toEqual(['sender', 'receiver'])
    await vi.waitFor(() => expect(members.filter(isAlive)).toEqual([]), 10_000)
    expect(readdirSync(temporary)).toEqual([])
  })
})

describe('usage', () => {
  it.each([
    [['demo', '--verifiers', '0'], "--verifiers is '0', wanted a whole number from 1 to 16"],
    [['demo', '--verifiers', '17'], "--verifiers is '17', wanted a whole number from 1 to 16"],
    [['demo', '--verifiers', 'many'], "--verifiers is 'many', wanted a whole number from 1 to 16"],
    [['demo', '--fast'], "'--fast'"],
    [['demo', 'a', 'b'], "'b'"],
    [['demo', '-n', '2', 'a'], '--verifiers is for the setup'],
    [['keygen', '--type', 'DSA'], "'DSA', wanted Ed25519, secp256k1, RSA"],
    [['peer-id'], 'KEYFILE'],
    [['--fast'], "'--fast'"],
    [['dmeo'], "'dmeo'"],
    [[], 'a command is missing'],
    [['--'], 'a command is missing'],
    [['--', 'dmeo'], "'dmeo'"]
  ])('%j is named and explained, with exit code 2', async (args, message) => {
    const { code, stdout, stderr } = await run(...args)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toContain(message)
    expect(stderr).toMatch(/\nTry 'bitvmx-p2p.* --help'\.\n$/)
  })

  it.each([
    ['a missing file', () => join(directory, 'missing'), 'there is no such file'],
    ['a directory', () => directory, 'it is a directory'],
    ['what is no file', () => '/dev/null', 'it is no regular file']
  ])('%s cannot be sent: one line, exit code 1', async (_, path, message) => {
    const { code, stdout, stderr } = await run('demo', path())
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(new RegExp(`^bitvmx-p2p: cannot (read|send) '.*': ${message}\n$`))
  })

  it.each(['', 'demo', 'keygen', 'peer-id'])('%s --help shows examples and exit codes', async command => {
    const { code, stdout, stderr } = await run(...(command === '' ? [] : [command]), '--help')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toContain(`bitvmx-p2p ${command}`)
    expect(stdout).toContain('Exit codes')
  })

  it('a command may stand behind --, as npm and npx hand it on', async () => {
    expect(await run('--', 'demo', '--help')).toEqual(await run('demo', '--help'))
  })

  it('--version is that of the package', async () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }
    expect(await run('--version')).toMatchObject({ code: 0, stdout: `${version}\n` })
  })

  it.each(['Ed25519', 'secp256k1', 'RSA'])(
    'a %s key that keygen made has the names that it said',
    async type => {
      const made = await run('keygen', '--type', type)
      expect(made).toMatchObject({ code: 0, stdout: expect.stringMatching(/^[\da-f]+\n$/) })
      const path = join(directory, `${type}.key`)
      writeFileSync(path, made.stdout)
      expect(await run('peer-id', path)).toMatchObject({ code: 0, stdout: made.stderr })
    }
  )

  it('peer-id takes a key as protobuf bytes, too', async () => {
    const path = join(directory, 'key.bin')
    const key = await generatePrivateKey()
    writeFileSync(path, key)
    expect(await run('peer-id', path)).toMatchObject({
      code: 0,
      stdout: `peer ID   ${peerIdFromPrivateKey(key)}\nkey hash  ${publicKeyHash(key)}\n`
    })
  })

  it('a file that holds no key is refused with exit code 1', async () => {
    const { code, stderr } = await run('peer-id', MAIN)
    expect(code).toBe(1)
    expect(stderr).toMatch(/^bitvmx-p2p: .*key/)
  })
})

type Program = ChildProcessByStdio<null, Readable, Readable>

interface Result {
  code: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
}

function start(...args: string[]): Program {
  const program = spawn(process.execPath, [MAIN, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, TMPDIR: temporary }
  })
  onTestFinished(() => void program.kill('SIGKILL'))
  return program
}

async function result(program: Program): Promise<Result> {
  let stdout = ''
  let stderr = ''
  program.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  program.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const [code, signal] = (await once(program, 'close')) as [number | null, NodeJS.Signals | null]
  return { code, signal, stdout, stderr }
}

async function run(...args: string[]): Promise<Result> {
  return result(start(...args))
}

/** Waits until the program has written this. Call `result` first: it reads the output. */
async function until(program: Program, text: string): Promise<void> {
  let written = ''
  await new Promise<void>((resolve, reject) => {
    program.stdout.on('data', (more: string) => {
      written += more
      if (written.includes(text)) resolve()
    })
    program.stdout.on('end', () => reject(new Error(`wanted '${text}' in: ${written}`)))
  })
}

interface Participant {
  name: string
  pid: number
}

/** The processes that the program has started. */
function participants({ pid }: Program): Participant[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')
  return children.map(child => {
    const args = readFileSync(`/proc/${child}/cmdline`, 'utf8').split('\0')
    return { name: args[args.findIndex(arg => arg.endsWith('participant.js')) + 1]!, pid: Number(child) }
  })
}

/** Whether a process runs; one that has ended and that nobody has asked about does not. */
function isAlive({ pid }: Pick<Participant, 'pid'>): boolean {
  try {
    process.kill(pid, 0)
    return !LINUX || !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}

/** No file, and none of the processes that the output names. */
function expectNothingLeft(stdout: string): void {
  const pids = Array.from(stdout.matchAll(/pid (?<pid>\d+)/g), match => Number(match.groups!['pid']))
  expect(pids.length).toBeGreaterThan(1)
  expect(pids.filter(pid => isAlive({ pid }))).toEqual([])
  expect(readdirSync(temporary)).toEqual([])
}
