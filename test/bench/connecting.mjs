/** Starting, connecting, and many connected peers: this module beside bare js-libp2p. */
import { withChildren } from './processes.mjs'
import { median, summary } from './statistics.mjs'

export const STACKS = ['bitvmx-p2p', 'bare libp2p']

const NODES = 'nodes.mjs'
const CONNECTS = 20
/** The work that is divided among the peers, … */
const CROWD_WORK = { messages: 100_000, size: 100 }
/** … with so many messages in flight in all, or to each of them. */
const IN_ALL = 1_000
const TO_EACH = 64
const DEADLINE_MS = 120_000

/** Time to listen, each in a fresh process, and to connect, over and over in the same. */
export async function measureConnecting({ rounds, progress }) {
  const results = STACKS.map(stack => ({ stack, startMs: [], connectMs: [] }))
  for (let round = 0; round < rounds; round++) {
    for (const { stack, startMs, connectMs } of results) {
      progress(`connecting: ${stack}, round ${round + 1}/${rounds}`)
      await withChildren(2, async (acceptor, dialler) => {
        const { self, startMs: first } = await acceptor.run(NODES, 'start', { stack })
        const { startMs: second } = await dialler.run(NODES, 'start', { stack })
        startMs.push(first, second)
        const taken = await dialler.run(NODES, 'connectRepeatedly', { peer: self, times: CONNECTS })
        connectMs.push(median(taken))
      })
    }
  }
  return results.map(({ stack, startMs, connectMs }) => ({
    stack,
    startMs: summary(startMs),
    connectMs: summary(connectMs)
  }))
}

/** So many peers in one process, and a hub that connects to all of them at once, then shares work among them. */
export async function measureCrowd({ counts, progress }) {
  const results = []
  for (const count of counts) {
    for (const stack of STACKS) {
      progress(`crowd: ${stack}, ${count} peers`)
      results.push(
        await withChildren(2, async (crowd, hub) => {
          const peers = await crowd.run(NODES, 'openCrowd', { peers: count }, DEADLINE_MS)
          await hub.run(NODES, 'start', { stack })
          const { seconds, rssPerPeer } = await hub.run(NODES, 'connectAll', { peers }, DEADLINE_MS)
          const connected = { stack, count, handshakesPerSecond: count / seconds, rssPerPeer }
          if (stack !== 'bitvmx-p2p') return connected
          const deliver = async flight => {
            const work = await hub.run(NODES, 'deliver', { peers, ...CROWD_WORK, flight }, DEADLINE_MS)
            const { messages, bytes, damaged } = await crowd.run(NODES, 'crowdTally')
            if (messages !== work.messages || bytes !== messages * CROWD_WORK.size || damaged > 0) {
              throw new Error(`${work.messages} messages acked, ${messages} received, ${damaged} damaged`)
            }
            return work
          }
          // What compiles on the first messages is compiled before anything is timed.
          await deliver(IN_ALL)
          return { ...connected, inAll: await deliver(IN_ALL), toEach: await deliver(TO_EACH * count) }
        }).catch(err => ({ stack, count, failure: err.message }))
      )
    }
  }
  return results
}
