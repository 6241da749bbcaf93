/**
 * What honest peers keep of their message rate while somebody attacks at full speed.
 *
 * The attacker is a process with a core of its own; the node and its honest peers share another. It takes from them by
 * merely running all the same (caches, the kernel), which is no merit of the attack: so its CPU share is measured, and
 * the undisturbed rate is taken while a harmless process burns the same share of the same core. Both are measured in
 * turns, in one run, and compared turn by turn.
 *
 * What somebody else on this machine takes of the honest core is no merit of the attack either, and an attack that costs
 * a tenth of a core costs a fifth of half a core. So rates are messages for each second of the core that there was for
 * the node and its peers: what they used, and what was left idle, as it is when somebody is kept waiting.
 *
 * An attacker has a full bucket, and the allowances of a peer if it is one, until it is cut off: its outbreak, which is
 * measured apart. From then on it goes on as fast as it can, for as long as it takes.
 */
import { execFileSync } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { generatePrivateKey, peerIdFromPrivateKey } from 'bitvmx-p2p'
import { expect, onTestFinished, test } from 'vitest'
import { LONG, startNode } from '../support/node-process.ts'
import { createAttacker } from './attacker.ts'
import { startProgram } from './program.ts'
import type { Program } from './program.ts'
import { cpuMs, idleMs, residentMiBOf } from './usage.ts'

const ATTACKS = ['connect flood', 'handshake flood', 'varint flood', 'oversize prefixes', 'stream flood']
/**
 * What must be kept of the undisturbed rate, in the median of all turns behind the outbreak. 0.8 is what is promised; a
 * short run on a machine with other things to do may be wrong by a tenth.
 */
const KEPT = LONG ? 0.8 : 0.7
const TURNS = LONG ? 9 : 5
/** If less is kept than must be there are so many turns, and all of them count: noise goes, a regression stays. */
const MAX_TURNS = 25
const HALF_TURN_MS = LONG ? 3_000 : 500
const OUTBREAK_MS = LONG ? 6_000 : 1_500
const SETTLE_MS = 100
const TEST_MS = 900_000
/** Messages that an honest peer has in flight, of 100 bytes each. */
const WINDOW = 1_024
/** Memory that the node may take beyond what it took before the attacks, in MiB. */
const GROWN_MIB = 192
/** The longest that a call which never blocks may take in the application's thread, in milliseconds. */
const CALL_MS = 500

const CORES = availableParallelism()
/** The node and its peers run on the first core, the attacker on the last one. */
const HONEST_CORE = 0
const ATTACKERS_CORE = CORES - 1

test('two honest peers keep their message rate under every attack', { timeout: TEST_MS }, async () => {
  const honestKeys = [await generatePrivateKey(), await generatePrivateKey()]
  // Each attacker has an address and a key that is on the list, and keeps both from turn to turn.
  const keys = await Promise.all(ATTACKS.map(async () => generatePrivateKey()))
  const node = await startNode({
    allowList: [...honestKeys, ...keys].map(key => ({ peerId: peerIdFromPrivateKey(key) }))
  })
  const target = node.addresses[0]!
  // The application takes what comes until it is told to end, and times the calls that promise not to block.
  const application = node.run(
    ({ p2p }) => {
      let longestMs = 0
      for (;;) {
        const begin = performance.now()
        const there = p2p.receiver.tryRecv()
        longestMs = Math.max(longestMs, performance.now() - begin)
        const event = there ?? p2p.receiver.recv(100)
        if (event?.type === 'Data' && event.data.length === 1) return longestMs
      }
    },
    undefined,
    TEST_MS
  )

  const honest = honestKeys.map(() => startProgram('honest.mjs'))
  const pinned = CORES > 1 ? { core: ATTACKERS_CORE } : {}
  const attackers = startProgram('attacker.mjs', pinned)
  const spinner = startProgram('spinner.mjs', pinned)
  onTestFinished(() => [...honest, attackers, spinner].forEach(program => program.kill()))
  for (const [index, program] of honest.entries()) {
    const start = { target: node.peerId, address: target, key: honestKeys[index], window: WINDOW }
    await program.call('start', start)
  }
  const party = { node: node.pid, honest }
  for (const { pid } of [node, ...honest]) keepTo(pid, HONEST_CORE)
  // What is compiled and allocated on the way to full speed is no part of any turn.
  await pause(2_000)

  const before = residentMiBOf(node.pid)
  let peak = before
  const crew = await Promise.all(
    keys.map(async (key, index) => createAttacker(attackers, { target, from: `127.7.${index}.1`, key }))
  )
  const table = [
    'attack | turn | attempts | its CPU | the node’s CPU | messages/s of the core without | with | kept'
  ]
  const kept = new Map<string, number>()
  const overall = new Map<string, number>()
  for (const [index, name] of ATTACKS.entries()) {
    let share = 0
    const attack = async (ms: number): Promise<Half> => {
      const half = await halfTurn(party, attackers.pid, async () =>
        crew[index]!.call<number>('assault', { name, ms })
      )
      share = half.share
      await pause(SETTLE_MS)
      return half
    }
    const rest = async (): Promise<Half> =>
      halfTurn(party, spinner.pid, async () => spinner.call('spin', { ms: HALF_TURN_MS, share }))
    const note = (turn: string, attacked: Half, undisturbed: Half): number => {
      const ratio = attacked.rate / undisturbed.rate
      const figures = [attacked.share, attacked.nodesShare].map(figure => figure.toFixed(2))
      const rates = [undisturbed.rate.toFixed(0), attacked.rate.toFixed(0), ratio.toFixed(2)]
      table.push([name, turn, attacked.result, ...figures, ...rates].join(' | '))
      peak = Math.max(peak, residentMiBOf(node.pid))
      return ratio
    }
    const outbreak = note('outbreak', await attack(OUTBREAK_MS), await rest())
    const ratios: number[] = []
    let turns = TURNS
    for (let turn = 0; turn < turns; turn++) {
      // Every other turn the other way round, so that a machine that slows down favours neither half.
      const early = turn % 2 === 0 ? await attack(HALF_TURN_MS) : undefined
      const undisturbed = await rest()
      ratios.push(note(String(turn), early ?? (await attack(HALF_TURN_MS)), undisturbed))
      if (turn + 1 === TURNS && median(ratios) <= KEPT) turns = MAX_TURNS
    }
    kept.set(name, median(ratios))
    // The whole attack, from the first moment.
    const all = OUTBREAK_MS * outbreak + HALF_TURN_MS * ratios.reduce((sum, ratio) => sum + ratio, 0)
    overall.set(name, all / (OUTBREAK_MS + HALF_TURN_MS * ratios.length))
  }
  for (const [name, ratio] of kept) {
    table.push(`${name}: ${ratio.toFixed(2)} kept in the median, ${overall.get(name)!.toFixed(2)} in all`)
  }
  await honest[0]!.call('say', { target: node.peerId })
  const longestMs = await application
  table.push(`longest call in the application's thread: ${longestMs.toFixed(0)} ms`)
  table.push(`memory: ${before.toFixed(0)} MiB before, ${peak.toFixed(0)} MiB at most`)
  console.log(table.join('\n'))

  for (const program of honest) {
    expect(await program.call('report')).toMatchObject({ refused: 0, others: [] })
  }
  expect(longestMs).toBeLessThan(CALL_MS)
  expect(peak - before).toBeLessThan(GROWN_MIB)
  for (const [name, ratio] of kept) expect(ratio, name).toBeGreaterThan(KEPT)
})

interface Report {
  acknowledged: number
}

/** The processes whose messages count. */
interface Party {
  node: number
  honest: Program[]
}

/** What came of an action: what it returned, and what was measured while it lasted. */
interface Half {
  result: unknown
  /** Acknowledged messages of all honest peers for each second of the core that there was for them and the node. */
  rate: number
  /** CPU of the process that acted, and of the node, in cores. */
  share: number
  nodesShare: number
}

async function halfTurn(party: Party, actorPid: number, action: () => Promise<unknown>): Promise<Half> {
  const { node, honest } = party
  const measure = async (): Promise<Record<'at' | 'messages' | 'actor' | 'node' | 'there', number>> => {
    const reports = await Promise.all(honest.map(async one => one.call<Report>('report')))
    const used = [node, ...honest.map(({ pid }) => pid)].map(cpuMs)
    return {
      at: performance.now(),
      messages: totalOf(reports.map(({ acknowledged }) => acknowledged)),
      actor: cpuMs(actorPid),
      node: used[0]!,
      there: totalOf(used) + idleMs(HONEST_CORE)
    }
  }
  const before = await measure()
  const result = await action()
  const after = await measure()
  const elapsed = after.at - before.at
  return {
    result,
    rate: ((after.messages - before.messages) * 1_000) / (after.there - before.there),
    share: Math.min(1, (after.actor - before.actor) / elapsed),
    nodesShare: (after.node - before.node) / elapsed
  }
}

function totalOf(values: number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

/** Lets a process and its threads run on this core only. */
function keepTo(pid: number, core: number): void {
  execFileSync('taskset', ['-a', '-c', '-p', String(core), String(pid)])
}

async function pause(ms: number): Promise<void> {
  await new Promise(resolve => setTimeout(resolve, ms))
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!
}
