/** What a process uses, as the kernel counts it (Linux). */
import { readFileSync } from 'node:fs'

/** The kernel counts CPU time in hundredths of a second. */
const TICK_MS = 10

/** CPU time of a process and its threads since it began, in milliseconds. */
export function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The name in parentheses may contain anything: fields are counted from behind it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS
}

/** Time that a core has had nothing to do since the machine began, in milliseconds. */
export function idleMs(core: number): number {
  const [, fields] = new RegExp(`^cpu${core} (.*)$`, 'm').exec(readFileSync('/proc/stat', 'utf8'))!
  const [, , , idle, waitingForDisks] = fields!.split(' ')
  return (Number(idle) + Number(waitingForDisks)) * TICK_MS
}

/** Memory of a process that is in RAM, in MiB. */
export function residentMiBOf(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1_024
}

export interface Usage {
  cpuMs: number
  /** Largest growth of the memory in RAM while it lasted, in MiB. */
  grownMiB: number
}

const SAMPLE_MS = 10

/** What a process used while `action` lasted. */
export async function usageOf(pid: number, action: () => Promise<unknown>): Promise<Usage> {
  const before = { cpu: cpuMs(pid), memory: residentMiBOf(pid) }
  let peak = before.memory
  const sampling = setInterval(() => (peak = Math.max(peak, residentMiBOf(pid))), SAMPLE_MS)
  try {
    await action()
  } finally {
    clearInterval(sampling)
  }
  return { cpuMs: cpuMs(pid) - before.cpu, grownMiB: Math.max(peak, residentMiBOf(pid)) - before.memory }
}
