/**
 * A process of the benchmark: does what its parent asks over IPC, and ends with it. Synchronous contenders block its
 * event loop while they work; each of their waits is bounded, so that the end of the parent is always noticed.
 */
import { readFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { measureAead } from './aead.mjs'
import { loadContender } from './contenders/index.mjs'
import { createSlots, Load, Tally } from './load.mjs'

/** No process lives longer than this, whatever happens to its parent, in milliseconds. */
const LIFETIME_MS = 30 * 60 * 1_000

/** Acked messages that the application has not read yet are waited for so long, in milliseconds. */
const PATIENCE_MS = 2_000

let tally = new Tally({ flight: 1 })
let cpuBefore = process.cpuUsage()
let slots
let sender

const methods = {
  /** Loads a contender; why it cannot be measured here, if it cannot. */
  tryLoad: async contender => {
    try {
      await loadContender(contender)
      return undefined
    } catch (err) {
      return err.message.split('\n', 1)[0]
    }
  },

  /** Becomes the receiving process of a contender. */
  listen: async ({ contender, setup }) =>
    (await loadContender(contender)).listen(setup, message => tally.take(message)),

  /** Becomes the sending process of a contender. */
  connect: async ({ contender, setup, address }) => {
    const { connect, maxFlight = Infinity } = await loadContender(contender)
    slots = createSlots(setup.size, Math.min(setup.flight, maxFlight))
    sender = await connect(setup, address)
  },

  /** Receiving process: counts from here. */
  begin: work => {
    tally = new Tally(work)
    cpuBefore = process.cpuUsage()
  },

  /** Receiving process: what it has read since `begin`, once that is all, or nothing has come for a while. */
  end: async ({ expected }) => {
    for (let before = -1; tally.messages < expected && tally.messages !== before;) {
      before = tally.messages
      for (let i = 0; i < PATIENCE_MS && tally.messages < expected; i++) await setTimeout(1)
    }
    const { messages, bytes, sum, damaged, last } = tally
    return { messages, bytes, sum, damaged, last, cpuSeconds: cpuSeconds(cpuBefore) }
  },

  /** Sending process: sends a load. */
  send: async work => {
    const load = new Load({ slots, ...work })
    const before = process.cpuUsage()
    await sender.drive(load)
    const { sent, acked, span, histogram } = load
    return { sent, acked, ...span, cpuSeconds: cpuSeconds(before), times: histogram.entries() }
  },

  peakRss: () => peakRss(),
  rss: () => process.memoryUsage.rss(),
  aead: ({ ms }) => measureAead(ms),

  /** Calls a function of a scenario's file. */
  scenario: async ({ file, name, argument }) => (await import(`./${file}`))[name](argument)
}

process.on('disconnect', () => process.exit())
void setTimeout(LIFETIME_MS).then(() => process.exit(1))
process.on('message', message => void answer(message))

async function answer({ call, method, argument }) {
  try {
    process.send({ call, value: await methods[method](argument) })
  } catch (err) {
    process.send({ call, error: err instanceof Error ? err.message : String(err) })
  }
}

function cpuSeconds(before) {
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1e6
}

/** In bytes. What getrusage says may be the parent's, from before the exec: ask Linux for this process's own. */
function peakRss() {
  try {
    return Number(/^VmHWM:\s*(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))[1]) * 1_024
  } catch {
    return process.resourceUsage().maxRSS * 1_024
  }
}
