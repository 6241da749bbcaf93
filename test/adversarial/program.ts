/** Programs of test/adversarial/programs, each in a process of its own that answers calls over IPC. */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** A call without an answer for so long fails, in milliseconds. */
const CALL_DEADLINE_MS = 60_000

type Reply = { reply: number; value: unknown } | { reply: number; error: { message: string } }

export interface Program {
  readonly pid: number
  call: <T = unknown>(method: string, body?: object) => Promise<T>
  /** Kills the process outright. */
  kill: () => void
}

export interface ProgramInit {
  args?: string[]
  /** Pins the process to one core, with taskset. */
  core?: number
}

/** Starts a program. The caller kills it. */
export function startProgram(name: string, { args = [], core }: ProgramInit = {}): Program {
  const path = fileURLToPath(new URL(`programs/${name}`, import.meta.url))
  const child = fork(path, args, {
    serialization: 'advanced',
    execArgv: [],
    ...(core !== undefined && { execPath: 'taskset', execArgv: ['-c', String(core), process.execPath] })
  })
  const pending = new Map<number, { resolve: (value: never) => void; reject: (err: Error) => void }>()
  let last = 0
  child.on('message', (message: Reply) => {
    const waiting = pending.get(message.reply)
    pending.delete(message.reply)
    if ('error' in message) waiting?.reject(new Error(message.error.message))
    else waiting?.resolve(message.value as never)
  })
  child.once('exit', (code, signal) => {
    for (const { reject } of pending.values()) reject(new Error(`${name} ended (${code ?? signal})`))
  })
  return {
    pid: child.pid!,
    call: async (method, body = {}) => {
      const call = ++last
      let timer: NodeJS.Timeout | undefined
      try {
        return await new Promise((resolve, reject) => {
          pending.set(call, { resolve, reject })
          timer = setTimeout(
            () => reject(new Error(`${name}: ${method} ${JSON.stringify(body)} has no answer`)),
            CALL_DEADLINE_MS
          )
          child.send({ call, method, body })
        })
      } finally {
        clearTimeout(timer)
      }
    },
    kill: () => void child.kill('SIGKILL')
  }
}
