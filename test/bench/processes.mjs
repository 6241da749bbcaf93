/** The parent's side of `child.mjs`: every question has a deadline, and no process is left behind. */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const PROGRAM = fileURLToPath(new URL('child.mjs', import.meta.url))
/** An answer that is not a measurement takes at most so long, in milliseconds. */
const ANSWER_MS = 30_000

const running = new Set()

/** A process that answers calls one at a time. */
export class Child {
  #process = fork(PROGRAM, [], { serialization: 'advanced', execArgv: [] })
  #pending
  #calls = 0

  constructor() {
    running.add(this)
    this.#process.on('message', ({ call, value, error }) => {
      if (call !== this.#calls) return
      if (error === undefined) this.#pending?.resolve(value)
      else this.#pending?.reject(new Error(error))
    })
    this.#process.once('exit', (code, signal) => {
      running.delete(this)
      this.#pending?.reject(new Error(`the process ended (${signal ?? code})`))
    })
  }

  /** Calls a method of `child.mjs`. @throws its error, or that there was no answer in `deadlineMs` */
  async call(method, argument, deadlineMs = ANSWER_MS) {
    let timer
    try {
      return await new Promise((resolve, reject) => {
        this.#pending = { resolve, reject }
        timer = setTimeout(() => {
          this.kill()
          reject(new Error(`no answer to ${method} in ${deadlineMs} ms`))
        }, deadlineMs)
        this.#process.send({ call: ++this.#calls, method, argument }, err => err !== null && reject(err))
      })
    } finally {
      this.#pending = undefined
      clearTimeout(timer)
    }
  }

  /** Calls a function that a scenario's file exports. */
  async run(file, name, argument, deadlineMs = ANSWER_MS) {
    return this.call('scenario', { file, name, argument }, deadlineMs)
  }

  kill() {
    this.#process.kill('SIGKILL')
  }
}

/** Runs `action` with so many new processes, and ends them. */
export async function withChildren(count, action) {
  const children = Array.from({ length: count }, () => new Child())
  try {
    return await action(...children)
  } finally {
    for (const child of children) child.kill()
  }
}

function killAll() {
  for (const child of running) child.kill()
}

process.on('exit', killAll)
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    killAll()
    process.exit(130)
  })
}
