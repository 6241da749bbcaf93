/** How fast acknowledged messages go between peers of several kinds, taking turns in one run. */
import { newKey } from './cell.mjs'
import { OURS } from './kinds.mjs'
import { Peer } from './peers.mjs'

/** Sizes in bytes, and messages under way at once. */
const LOADS = [
  { size: 100, window: 1_024 },
  { size: 1_048_576, window: 8 }
]
const ROUNDS = 5
const ROUND_MS = 1_000
/** With a stream for each message no more of them: go-libp2p takes 64 at once. */
const MAX_STREAMS = 64
/** Messages of the first, unmeasured round, whose rate says how many the others have. */
const FIRST = 64
const ANY_PORT = '/ip4/127.0.0.1/tcp/0'

/** Who sends to whom, and how. */
function pairsOf(kinds) {
  const [rust, rustRr, go] = ['rust', 'rust rr', 'go'].map(name => kinds.find(kind => kind.name === name))
  const pairs = [[OURS, OURS, 'long']]
  if (rust) pairs.push([OURS, rust, 'long'], [rust, rust, 'long'])
  if (rustRr) pairs.push([rustRr, rustRr, 'single'])
  if (go) pairs.push([OURS, go, 'long'], [go, go, 'long'], [go, go, 'single'])
  return pairs
}

/** Measures every pair and prints a table of medians, with the ratio to our module with itself. */
export async function measureSpeed(kinds, say) {
  const rows = []
  for (const load of LOADS) {
    const pairs = []
    try {
      for (const [from, to, mode] of pairsOf(kinds)) {
        try {
          pairs.push(await Pair.start(from, to, mode, load))
        } catch (err) {
          say(`left out: ${err.message}`)
        }
      }
      for (let round = 0; round < ROUNDS; round++) {
        for (const pair of pairs) await pair.measure()
        say(`${load.size} bytes, round ${round + 1} of ${ROUNDS}`)
      }
      rows.push(...pairs.map(pair => pair.row(pairs[0])))
    } finally {
      for (const pair of pairs) await pair.end()
    }
  }
  return [
    '| sender → receiver | message | in flight | messages/s | MB/s | ours → ours × |',
    '| --- | --- | --- | --- | --- | --- |',
    ...rows
  ].join('\n')
}

class Pair {
  #rates = []

  static async start(from, to, mode, load) {
    const keys = [await newKey(), await newKey()]
    const start = async (kind, { key }) => {
      const args = kind === OURS ? ['--options', '{"allowList":"allow-all"}'] : []
      const peer = await Peer.start(kind, { key, args })
      const { addresses } = await peer.ask('listen', { address: ANY_PORT })
      return Object.assign(peer, { address: addresses[0] })
    }
    const pair = new Pair()
    Object.assign(pair, {
      mode,
      load,
      sender: await start(from, keys[0]),
      receiver: await start(to, keys[1])
    })
    await pair.sender.ask('dial', { peerId: pair.receiver.peerId, address: pair.receiver.address })
    await pair.#send(FIRST)
    pair.count = Math.max(FIRST, Math.ceil(((await pair.#send(FIRST)) * ROUND_MS) / 1_000))
    pair.count = Math.ceil(((await pair.#send(pair.count)) * ROUND_MS) / 1_000)
    return pair
  }

  async measure() {
    this.#rates.push(await this.#send(this.count))
  }

  row(first) {
    const { size, window } = this.load
    const rate = this.#median()
    const how = this.mode === 'single' ? ', a stream for each message' : ''
    const names = `${this.sender.kind.name} → ${this.receiver.kind.name}${how}`
    const ratio = (rate / first.#median()).toPrecision(2)
    return `| ${names} | ${size} B | ${window} | ${Math.round(rate).toLocaleString('en')} | ${((rate * size) / 1e6).toPrecision(3)} | ${ratio} |`
  }

  async end() {
    await Promise.all([this.sender.kill(), this.receiver.kill()])
  }

  #median() {
    return this.#rates.toSorted((a, b) => a - b)[Math.floor(this.#rates.length / 2)]
  }

  /** Messages a second. @throws when one of them is not accepted */
  async #send(count) {
    const { size, window } = this.load
    const { mode, sender, receiver } = this
    const { acks, ms } = await sender.ask('send', { peerId: receiver.peerId, count, size, mode, window })
    if (acks[0] !== count) {
      const who = `${sender.kind.name} → ${receiver.kind.name} ${mode}`
      throw new Error(`${who}: of ${count} messages ${JSON.stringify(acks)} acks`)
    }
    return (count / ms) * 1_000
  }
}
