/** The main measure: how fast messages of a size go from one process to another and their acks come back. */
import { findFault } from './load.mjs'
import { Child } from './processes.mjs'
import { Histogram, summary } from './statistics.mjs'

/** Before anything is measured every byte of so many messages, and at most of so much, is checked. */
const PROOF_MESSAGES = 200
const PROOF_BYTES = 16 * 1024 * 1024
/** A measurement may take so much longer than planned, in milliseconds, for the acks still to come. */
const GRACE_MS = 30_000

/**
 * Measures one cell: contenders side by side in processes of their own, taking turns for a number of rounds, each
 * round beginning with another one. If what came of it is in doubt there are `maxRounds`, all of which count.
 *
 * @param {{ contenders: string[], size: number, flight: number, rounds: number, maxRounds?: number, ms: number,
 *   isInDoubt: (cell: object) => boolean, tls: object, progress: (what: string) => void }} init
 */
export async function measureCell(init) {
  const { contenders, size, flight, rounds, maxRounds = rounds, isInDoubt, ms, tls, progress } = init
  const pairs = contenders.map(contender => new Pair(contender, size, flight))
  try {
    progress('starting')
    await Promise.all(pairs.map(async pair => pair.start({ size, flight, tls })))
    for (const pair of pairs) {
      progress(`${pair.contender}, proof`)
      await pair.prove(ms)
    }
    const cell = () => ({ size, flight, results: pairs.map(pair => pair.result()) })
    let planned = rounds
    for (let round = 0; round < planned; round++) {
      for (let turn = 0; turn < pairs.length; turn++) {
        const pair = pairs[(round + turn) % pairs.length]
        progress(`${pair.contender}, round ${round + 1}/${planned}`)
        await pair.measure(ms)
      }
      if (round + 1 === rounds && maxRounds > rounds && isInDoubt(cell())) planned = maxRounds
    }
    await Promise.all(pairs.map(async pair => pair.weigh()))
    return cell()
  } finally {
    for (const pair of pairs) pair.kill()
  }
}

function cpu({ cpuSeconds }) {
  return cpuSeconds.sender + cpuSeconds.receiver
}

/** One contender's two processes, and what was measured of them. The first failure is kept and ends its part. */
class Pair {
  contender
  #size
  #flight
  #receiver = new Child()
  #sender = new Child()
  #failure
  #rounds = []
  #times = new Histogram()
  #peakRss

  constructor(contender, size, flight) {
    this.contender = contender
    this.#size = size
    this.#flight = flight
  }

  async start(setup) {
    await this.#attempt(async () => {
      const { contender } = this
      const address = await this.#receiver.call('listen', { contender, setup })
      await this.#sender.call('connect', { contender, setup, address })
    })
  }

  /** Proves the way on whole contents, then warms it up: compilers and windows settle in an unmeasured round. */
  async prove(ms) {
    const bounded = Math.min(PROOF_MESSAGES, Math.ceil(PROOF_BYTES / this.#size))
    await this.#attempt(async () => {
      await this.#send({ messages: Math.max(bounded, 2), full: true })
      await this.#send({ ms })
    })
  }

  async measure(ms) {
    await this.#attempt(async () => {
      const { sent, received } = await this.#send({ ms })
      this.#times.add(sent.times)
      this.#rounds.push({
        messages: sent.sent,
        // Acks may be there before the application has read all that they are for: that takes time, too.
        seconds: (Math.max(sent.last, received.last) - sent.first) / 1_000,
        cpuSeconds: { sender: sent.cpuSeconds, receiver: received.cpuSeconds }
      })
    })
  }

  /** Takes the processes' peak memory. */
  async weigh() {
    await this.#attempt(async () => {
      this.#peakRss = {
        sender: await this.#sender.call('peakRss'),
        receiver: await this.#receiver.call('peakRss')
      }
    })
  }

  kill() {
    this.#receiver.kill()
    this.#sender.kill()
  }

  result() {
    const { contender } = this
    if (this.#failure !== undefined) return { contender, failure: this.#failure }
    const rounds = this.#rounds
    const over = value => summary(rounds.map(value))
    return {
      contender,
      messagesPerSecond: over(round => round.messages / round.seconds),
      bytesPerSecond: over(round => (round.messages * this.#size) / round.seconds),
      cpuPerMessage: over(round => cpu(round) / round.messages),
      cpuPerByte: over(round => cpu(round) / (round.messages * this.#size)),
      roundTripMs: {
        p50: this.#times.percentile(0.5),
        p99: this.#times.percentile(0.99),
        p999: this.#times.percentile(0.999)
      },
      peakRss: this.#peakRss,
      rounds
    }
  }

  async #send(work) {
    await this.#receiver.call('begin', { flight: this.#flight, full: work.full })
    const sent = await this.#sender.call('send', work, (work.ms ?? 0) + GRACE_MS)
    const received = await this.#receiver.call('end', { expected: sent.sent })
    const fault = findFault({ ...sent, size: this.#size }, received)
    if (fault !== undefined) throw new Error(fault)
    return { sent, received }
  }

  async #attempt(action) {
    if (this.#failure !== undefined) return
    try {
      await action()
    } catch (err) {
      this.#failure = err.message
    }
  }
}
