/** Medians, spreads and percentiles. */

/** Buckets for each power of two: a percentile is within 1.6 % of the truth. */
const STEP = 64
const STEP_BITS = 6
/** A bucket's unit, and so the finest difference, in milliseconds. */
const UNIT_MS = 0.0001

/** Durations up to three minutes in logarithmic buckets: constant memory, and nothing to sort. */
export class Histogram {
  #counts = new Float64Array(STEP * 27)
  count = 0

  record(ms) {
    this.#counts[bucketOf(Math.min(ms / UNIT_MS, 0x7fff_ffff) | 0)]++
    this.count++
  }

  /** The duration in milliseconds that this share (0 to 1) stays below; undefined when too few are known to tell. */
  percentile(share) {
    const rank = share * this.count
    if (this.count * (1 - share) < 1) return undefined
    let seen = 0
    const bucket = this.#counts.findIndex(count => (seen += count) >= rank)
    return middleOf(bucket) * UNIT_MS
  }

  /** Bucket numbers and counts, without the empty ones: what crosses processes. */
  entries() {
    return [...this.#counts.entries()].filter(([, count]) => count > 0)
  }

  /** Adds what another histogram's `entries` gave. */
  add(entries) {
    for (const [bucket, count] of entries) {
      this.#counts[bucket] += count
      this.count += count
    }
  }
}

function bucketOf(units) {
  if (units < STEP) return units
  const shift = 31 - Math.clz32(units) - STEP_BITS
  return (shift + 1) * STEP + ((units >>> shift) & (STEP - 1))
}

function middleOf(bucket) {
  if (bucket < STEP) return bucket + 0.5
  const shift = Math.floor(bucket / STEP) - 1
  return (STEP + (bucket % STEP) + 0.5) * 2 ** shift
}

/** The middle value; of an even number, the mean of the middle two. Undefined of none. */
export function median(values) {
  if (values.length === 0) return undefined
  const sorted = [...values].sort((a, b) => a - b)
  const half = sorted.length / 2
  return sorted.length % 2 === 1 ? sorted[Math.floor(half)] : (sorted[half - 1] + sorted[half]) / 2
}

/** @returns {{ median: number, low: number, high: number }} */
export function summary(values) {
  return { median: median(values), low: Math.min(...values), high: Math.max(...values) }
}
