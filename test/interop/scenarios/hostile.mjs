/** The hostile peer in Rust: every attack ends, and an honest peer is served all the while. */
import { createInterface } from 'node:readline'
import { expectEqual, expectTrue, newKey } from '../cell.mjs'
import { start } from '../peers.mjs'

export const hostile = {
  name: 'hostile',
  title: 'hostile peer in Rust: every attack ends, honest traffic goes on',
  once: true,
  ms: 600_000,
  applies: ({ hostile: program }) => program !== undefined,
  run: async cell => {
    // So many tokens that nobody is cut off for good: every attack reaches what it is aimed at.
    const rateLimit = { capacity: 100_000, refillPerSecond: 0.001 }
    const { ours, other } = await cell.meet({ options: { rateLimit, allowList: 'allow-all' } })
    const attacker = await newKey()
    const args = ['--key', attacker.key, '--peer', ours.peerId, '--address', ours.address]
    const child = start([...cell.kind.hostile, ...args], { stdio: ['ignore', 'pipe', 'ignore'] })
    const code = new Promise(resolve => child.once('close', resolve))
    const attacks = []
    createInterface({ input: child.stdout }).on('line', line => attacks.push(JSON.parse(line)))
    let over = false
    void code.then(() => (over = true))
    let honest = 0
    let bait
    while (!over) {
      // Attacks by acks need a message to answer. What becomes of it is of no interest.
      bait ??= ours
        .try('send', { peerId: attacker.peerId, count: 1, size: 10, mode: 'long', window: 1 })
        .then(
          () => (bait = undefined),
          () => {}
        )
      const batch = { peerId: ours.peerId, count: 20, size: 100, mode: 'long', window: 5 }
      const { acks } = await other.ask('send', batch)
      expectEqual('acks of the honest peer', acks, { 0: 20, 1: 0, 2: 0 })
      honest += 20
      await ours.ask('expect', { peerId: other.peerId, count: 20 })
    }
    expectEqual('exit code of the hostile peer', await code, 0)
    for (const { attack, ended, error } of attacks) {
      expectTrue(`${attack} was not ended`, ended !== 'open' || LEGAL.has(attack))
      // A flood may find its connection ended before it is written.
      expectTrue(`${attack} did not come off: ${error}`, error === undefined || /os error/.test(error))
    }
    cell.notes.push(`${attacks.length} attacks, ${honest} honest messages beside them`)
  }
}

/** What may stay open: a Noise record of which more may come, and a window that nobody uses. */
const LEGAL = new Set(['noise-frame-cut', 'window-overflow'])
