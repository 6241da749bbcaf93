/**
 * The regression guard: ratios between contenders of the same run, so that it says the same on any machine. To guard
 * one more thing, add a line.
 */
import { CONTENDERS } from './contenders/index.mjs'
import { median } from './statistics.mjs'

const OURS = CONTENDERS[0]
const MIB = 1024 * 1024

/**
 * This module's messages per second are at least so many times those of `peer`: about half of what docs/performance.md
 * shows, because the machine may be busy with anything.
 */
export const GUARDS = [
  { size: 100, flight: 1_024, peer: 'stream-per-message', atLeast: 100 },
  { size: 100, flight: 1_024, peer: 'ws', atLeast: 0.8 },
  { size: 150_000, flight: 8, peer: 'ws', atLeast: 0.6 },
  { size: MIB, flight: 8, peer: 'stream-per-message', atLeast: 0.8 }
]

/** The cells that the guards need, and who is measured in each. */
export function guardedCells() {
  const cells = new Map()
  for (const { size, flight, peer } of GUARDS) {
    const key = `${size}/${flight}`
    const cell = cells.get(key) ?? { size, flight, contenders: [OURS] }
    cells.set(key, cell)
    if (!cell.contenders.includes(peer)) cell.contenders.push(peer)
  }
  return [...cells.values()]
}

/**
 * The guards of these cells, each with the ratio that was measured: the median of the rounds' own ratios, because
 * whatever disturbs the machine disturbs neighbours alike.
 */
export function judge(cells) {
  return cells.flatMap(({ size, flight, results }) =>
    GUARDS.filter(guard => guard.size === size && guard.flight === flight).map(guard => {
      const [ours, theirs] = [OURS, guard.peer].map(name => results.find(result => result.contender === name))
      const failure = ours.failure ?? theirs.failure
      if (failure !== undefined) return { ...guard, ok: false, failure }
      const theirRates = rates(theirs)
      const ratio = median(rates(ours).map((rate, round) => rate / theirRates[round]))
      return { ...guard, ratio, ok: ratio >= guard.atLeast }
    })
  )
}

/**
 * Whether a guard is below what it wants so far, by measurement. A few short rounds on a machine with other things to
 * do may err: then there are more of them, and all of them count.
 */
export function isInDoubt(cell) {
  return judge([cell]).some(({ ok, failure }) => !ok && failure === undefined)
}

function rates({ rounds }) {
  return rounds.map(round => round.messages / round.seconds)
}
