/**
 * What a flood costs the node in CPU and memory, measured from outside. Nobody is barred here (the buckets are too
 * large), so that what is measured is the containment itself. Without the guards of src/libp2p one mebibyte of ff takes
 * about five seconds of CPU, and a muxer frame of 300 MiB takes 300 MiB.
 */
import { generatePrivateKey, peerIdFromPrivateKey } from 'bitvmx-p2p'
import { expect, test } from 'vitest'
import { LONG, startNode } from '../support/node-process.ts'
import { startAttackers } from './attacker.ts'
import { usageOf } from './usage.ts'

const MIB = 2 ** 20
const MAX_MESSAGE_BYTES = MIB
const EFFECT_MS = 30_000

interface Flood {
  name: string
  /** Floods, one after the other, and the bytes that each writes unless it is stopped. */
  times: number
  bytes: number
  /** The least that the whole must stay within. CPU is counted with its share of garbage collection. */
  cpuMs: number
  grownMiB: number
  /** Connections that the flood makes in all. */
  count?: number
  /** Only peers on the list may come in: the attacker, not the strangers it plays. */
  listed?: true
}

const scale = LONG ? 8 : 1

const FLOODS: Flood[] = [
  { name: 'connections that stay silent', times: 1, bytes: 0, cpuMs: 5_000, grownMiB: 96, count: 1_000 },
  {
    name: 'connections that are reset at once',
    times: 1,
    bytes: 0,
    cpuMs: 5_000,
    grownMiB: 96,
    count: 2_000
  },
  {
    name: 'handshakes of strangers',
    times: 1,
    bytes: 0,
    cpuMs: 20_000,
    grownMiB: 96,
    count: 300,
    listed: true
  },
  { name: 'streams that are reset at once', times: 5, bytes: 12 * MIB, cpuMs: 3_000, grownMiB: 96 },
  { name: 'messages that nobody reads', times: 1, bytes: 200 * MIB, cpuMs: 10_000, grownMiB: 96 },
  { name: 'ff before anything', times: 20, bytes: MIB, cpuMs: 600, grownMiB: 64 },
  { name: 'ff after the first line', times: 20, bytes: MIB, cpuMs: 600, grownMiB: 64 },
  { name: 'a record of the handshake that never ends', times: 20, bytes: MIB, cpuMs: 1_500, grownMiB: 64 },
  { name: 'ff instead of the name of a muxer', times: 20, bytes: MIB, cpuMs: 2_000, grownMiB: 64 },
  { name: 'ff instead of the name of a protocol', times: 20, bytes: MIB, cpuMs: 2_000, grownMiB: 64 },
  { name: 'endless lengths of messages', times: 1, bytes: 20 * MIB, cpuMs: 2_000, grownMiB: 64 },
  { name: 'a muxer frame of 300 MiB', times: 2, bytes: 300 * MIB, cpuMs: 1_000, grownMiB: 64 },
  { name: 'pings whose answers are not read', times: 5, bytes: 12 * MIB, cpuMs: 3_000, grownMiB: 96 },
  { name: 'goodbyes of the muxer', times: 1, bytes: 12 * MIB, cpuMs: 2_000, grownMiB: 96 },
  {
    name: 'acks that are asked for and not read',
    times: 1,
    bytes: 12 * MIB,
    cpuMs: 6_000,
    grownMiB: 120
  },
  { name: 'streams whose refusals are not read', times: 5, bytes: 12 * MIB, cpuMs: 3_000, grownMiB: 96 },
  { name: 'messages without their last byte', times: 1, bytes: 200 * MIB, cpuMs: 10_000, grownMiB: 160 },
  {
    name: 'messages on streams of their own',
    times: 1,
    bytes: 0,
    cpuMs: 30_000,
    grownMiB: 96,
    count: 8_000
  },
  {
    name: 'data behind negotiations that are stuck',
    times: 1,
    bytes: 200 * MIB,
    cpuMs: 10_000,
    grownMiB: 160
  }
]

test.each(FLOODS)('$name: $cpuMs ms of CPU and $grownMiB MiB at most', { timeout: 300_000 }, async flood => {
  const create = startAttackers()
  const key = await generatePrivateKey()
  const node = await startNode({
    ...(flood.listed === true && { allowList: [{ peerId: peerIdFromPrivateKey(key) }] }),
    rateLimit: { capacity: 1_000_000 },
    limits: {
      maxMessageBytes: MAX_MESSAGE_BYTES,
      receiverBytes: 16 * MIB,
      handshakeTimeoutMs: 30_000,
      messageTimeoutMs: 60_000
    }
  })
  const attacker = await create({ target: node.addresses[0]!, key })
  /** A peer that has used up its allowances is let in again when there is a little of them. */
  const comesIn = async (): Promise<void> => {
    await expect.poll(attacker.enter, { timeout: EFFECT_MS, interval: 100 }).toMatchObject({ admitted: true })
  }
  // What a first connection loads and compiles is no part of the flood.
  await comesIn()

  const used = await usageOf(node.pid, async () => {
    for (let i = 0; i < flood.times * scale; i++) {
      if (i > 0) await comesIn()
      await attacker.call('flood', {
        name: flood.name,
        bytes: flood.bytes,
        count: flood.count,
        maxMessageBytes: MAX_MESSAGE_BYTES
      })
    }
    // The node answers: it has worked off what was poured on it.
    await node.run(({ p2p }) => p2p.runtime.inspect().peers.length)
  })
  console.log(`${flood.name}: ${used.cpuMs} ms of CPU, ${used.grownMiB.toFixed(1)} MiB`)
  expect(used.cpuMs).toBeLessThan(flood.cpuMs * scale)
  expect(used.grownMiB).toBeLessThan(flood.grownMiB)
  // And goes on.
  await node.events()
  await comesIn()
})
