/**
 * What a listed peer gone bad leaves to others when all that it does is within the rules, or until it is charged: nobody is
 * barred here, and who is cut off comes again. An honest peer sends messages, with a window of them in flight, on the same
 * machine. Its rate with and without the attack is measured in turns, in one run, and compared turn by turn.
 */
import { generatePrivateKey } from 'bitvmx-p2p'
import { expect, onTestFinished, test } from 'vitest'
import { startNode } from '../support/node-process.ts'
import { createAttacker } from './attacker.ts'
import { startProgram } from './program.ts'

const TURNS = 5
const TURN_MS = 800
/** Messages that the honest peer has in flight, of 100 bytes each. */
const WINDOW = 256

/**
 * What must be kept of the undisturbed rate, in the median of all turns. It is a third to a half when the machine has
 * nothing else to do, though attacker, node and honest peer share its cores; without a fair share a tenth at most, and
 * mostly a hundredth.
 */
const KEPT = 0.15

test.each(['tiny frames', 'refused lines', 'one-message streams'])(
  'an honest peer keeps a part of its message rate beside %s',
  { timeout: 180_000 },
  async name => {
    const node = await startNode({ rateLimit: { capacity: 1_000_000 } })
    const target = node.addresses[0]!
    const application = node.run(
      ({ p2p }) => {
        for (;;) {
          const event = p2p.receiver.recv(100)
          if (event?.type === 'Data' && event.data.length === 1 && event.data[0] === 0) return
        }
      },
      undefined,
      170_000
    )
    // When the test has failed the process is killed while it runs.
    application.catch(() => {})
    const honest = startProgram('honest.mjs')
    const attackers = startProgram('attacker.mjs')
    onTestFinished(() => [honest, attackers].forEach(program => program.kill()))
    const key = await generatePrivateKey()
    await honest.call('start', { target: node.peerId, address: target, key, window: WINDOW })
    const attacker = await createAttacker(attackers, { target })
    const rateOf = async (action: () => Promise<unknown>): Promise<number> => {
      const [begin, before] = [performance.now(), await acknowledged()]
      await action()
      return ((await acknowledged()) - before) / (performance.now() - begin)
    }
    const acknowledged = async (): Promise<number> =>
      (await honest.call<{ acknowledged: number }>('report')).acknowledged
    const rest = async (): Promise<void> => new Promise(resolve => setTimeout(resolve, TURN_MS))
    await rest()

    const kept: number[] = []
    for (let turn = 0; turn < TURNS; turn++) {
      const undisturbed = await rateOf(rest)
      const attacked = await rateOf(async () => attacker.call('assault', { name, ms: TURN_MS, atOnce: 1 }))
      kept.push(attacked / undisturbed)
    }
    const median = kept.toSorted((a, b) => a - b)[TURNS >> 1]!
    console.log(`${name}: ${kept.map(ratio => ratio.toFixed(2)).join(' ')} kept`)
    expect(await honest.call('report')).toMatchObject({ refused: 0, others: [] })
    expect(median).toBeGreaterThan(KEPT)
    await honest.call('say', { target: node.peerId })
    await application
  }
)
