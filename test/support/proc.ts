/** What the kernel says about this process and its sockets (Linux). */
import { readdirSync, readFileSync } from 'node:fs'

/** Threads of this process, those of Node's own pools included. */
export function threadCount(): number {
  return readdirSync('/proc/self/task').length
}

/** Open file descriptors of this process, the one that reads the list included. */
export function handleCount(): number {
  return readdirSync('/proc/self/fd').length
}

/** Memory of this process that is in RAM, in MiB. */
export function residentMiB(): number {
  return process.memoryUsage.rss() / 2 ** 20
}

/** Connections that were made to a port of this machine and are established at the accepting end. */
export function acceptedAt(port: number): number {
  return sockets('01', port)
}

/** Sockets that listen on a port of this machine. */
export function listenersAt(port: number): number {
  return sockets('0A', port)
}

function sockets(state: string, port: number): number {
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  return ['/proc/net/tcp', '/proc/net/tcp6']
    .flatMap(path => readFileSync(path, 'utf8').split('\n').slice(1))
    .map(line => line.trim().split(/\s+/))
    .filter(fields => fields[3] === state && fields[1]!.endsWith(local)).length
}

/** Stops another process (SIGSTOP), and waits until each of its threads has noticed. */
export async function suspend(pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP')
  const stopped = (thread: string): boolean =>
    readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8').split(') ').at(-1)!.startsWith('T')
  await eventually('every thread is stopped', () => readdirSync(`/proc/${pid}/task`).every(stopped))
}

/** Waits until a condition holds that no event tells of. */
export async function eventually(what: string, holds: () => boolean, deadlineMs = 30_000): Promise<void> {
  const end = performance.now() + deadlineMs
  while (!holds()) {
    if (performance.now() > end) throw new Error(`not in ${deadlineMs} ms: ${what}`)
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}
