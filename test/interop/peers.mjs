/** The runner's side of the contract: processes that are asked, one answer to each question, and none left behind. */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

/** How long a peer may take for an answer, in milliseconds, unless the question says otherwise. */
export const ANSWER_MS = 60_000

const running = new Set()

/** Ends every process that was started here. */
export function killAll() {
  for (const child of running) child.kill('SIGKILL')
}

process.on('exit', killAll)
for (const [signal, code] of Object.entries({ SIGINT: 130, SIGTERM: 143, SIGHUP: 129 })) {
  process.once(signal, () => process.exit(code))
}

/** Starts a program that is killed with us. */
export function start([program, ...args], options) {
  const child = spawn(program, args, options)
  running.add(child)
  child.once('close', () => running.delete(child))
  child.once('error', () => running.delete(child))
  return child
}

/** Runs a program to its end. @throws what it wrote to standard error when it fails, or takes longer than `ms` */
export async function run(command, { ms = ANSWER_MS, ...options } = {}) {
  const child = start(command, { stdio: ['ignore', 'pipe', 'pipe'], ...options })
  const timer = setTimeout(() => child.kill('SIGKILL'), ms)
  const output = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr']) {
    child[name].setEncoding('utf8').on('data', text => (output[name] += text))
  }
  try {
    const [code, signal] = await new Promise((resolve, reject) => {
      child.once('error', reject).once('close', (...end) => resolve(end))
    })
    if (code === 0) return output.stdout
    const last = (output.stderr || output.stdout).trim().split('\n').slice(-12).join('\n')
    throw new Error(`${command.slice(0, 3).join(' ')} ended with ${signal ?? code}: ${last}`)
  } finally {
    clearTimeout(timer)
  }
}

/** A peer of any kind in a process of its own. */
export class Peer {
  #child
  #pending = new Map()
  #questions = 0
  #log = ''

  /** Starts a peer and waits until it is ready. */
  static async start(kind, { key, args = [] }) {
    const peer = new Peer(kind, [...kind.command, '--key', key, ...kind.args, ...args])
    const ready = await peer.#answer('ready', ANSWER_MS, 'ready')
    peer.peerId = ready.peerId
    peer.implementation = ready.implementation
    return peer
  }

  constructor(kind, command) {
    this.kind = kind
    this.#child = start(command, { stdio: ['pipe', 'pipe', 'pipe'] })
    this.#child.stdin.on('error', () => {})
    this.#child.stderr.setEncoding('utf8').on('data', text => (this.#log = (this.#log + text).slice(-2_000)))
    createInterface({ input: this.#child.stdout }).on('line', line => this.#take(line))
    this.exited = new Promise(resolve => this.#child.once('close', (code, signal) => resolve(signal ?? code)))
    this.#child.once('error', err => this.#fail(err))
    void this.exited.then(code => this.#fail(new Error(`${kind.name} has ended with ${code} ${this.#log}`)))
  }

  /** Asks for something. @throws the peer's error, and that there was no answer in time */
  ask(command, fields, ms) {
    const answer = this.try(command, fields, ms).then(({ ok, error, ...members }) => {
      if (!ok) throw new Error(`${this.kind.name} ${command}: ${error}`)
      return members
    })
    // A scenario that fails asks no further, and leaves questions behind.
    answer.catch(() => {})
    return answer
  }

  /** Asks for something that may fail: `ok` and `error` tell. */
  try(command, fields = {}, ms = ANSWER_MS) {
    const id = ++this.#questions
    const answer = this.#answer(id, ms, command)
    answer.catch(() => {})
    this.#child.stdin.write(JSON.stringify({ id, command, ...fields }) + '\n')
    return answer
  }

  /** Ends the process as a crash would. */
  async kill() {
    this.#child.kill('SIGKILL')
    return this.exited
  }

  async #answer(id, ms, what) {
    if (this.#child.exitCode !== null) throw new Error(`${this.kind.name} has ended already ${this.#log}`)
    let timer
    try {
      return await new Promise((resolve, reject) => {
        this.#pending.set(id, { resolve, reject })
        const late = () =>
          reject(new Error(`${this.kind.name} did not answer ${what} in ${ms} ms ${this.#log}`))
        timer = setTimeout(late, ms)
      })
    } finally {
      this.#pending.delete(id)
      clearTimeout(timer)
    }
  }

  #take(line) {
    let answer
    try {
      answer = JSON.parse(line)
    } catch {
      return this.#fail(new Error(`${this.kind.name} wrote ${line.slice(0, 200)}`))
    }
    this.#pending.get(answer.event ?? answer.id)?.resolve(answer)
  }

  #fail(err) {
    for (const { reject } of this.#pending.values()) reject(err)
  }
}
