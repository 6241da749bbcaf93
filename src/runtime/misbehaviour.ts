import type { ControlEvent, MisbehaviourCause, Offender, RuntimeSnapshot } from '../bridge/index.ts'
import type { BucketTable } from '../rate-limiter/index.ts'

/** What an observer saw. `evidence` is for people: a reason, never a payload. */
export interface Offence {
  cause: MisbehaviourCause
  offender: Offender
  evidence: string
}

/** One charge, kept so that an operator can answer "why was this peer cut off?". */
type Debit = RuntimeSnapshot['buckets'][number]['debits'][number]

export interface MisbehaviourPolicyInit {
  /** Two tables, so that a flood of addresses cannot touch the buckets of authenticated peers. */
  peerBuckets: BucketTable
  addressBuckets: BucketTable
  costs: Record<MisbehaviourCause, number>
  /** Ends everything that the subject has here; it is barred already. */
  cutOff: (offender: Offender, reason: string) => void
  emit: (event: Extract<ControlEvent, { type: 'ConnectionLimit' }>) => void
}

/** Debits kept for each key, and subjects for which they are kept; the oldest go first. */
const DEBITS_PER_SUBJECT = 8
const MAX_DEBIT_SUBJECTS = 1_024
/** Buckets listed at most: a snapshot stays small while somebody attacks from everywhere. */
const MAX_BUCKETS_SHOWN = 1_024

/**
 * The single judge of misbehaviour (docs/decisions/0003). Observers report facts; the judge charges the subject's
 * bucket and, when the bucket cannot pay, bars the key, cuts it off and says so once, in that order. Nothing else
 * hangs up on anyone for what he did. A bar ends when the bucket's own refill has brought one token back. Who has no bucket
 * of his own, because all are in use and empty, is cut off each time, and neither barred nor reported.
 */
export class MisbehaviourPolicy {
  readonly #init: MisbehaviourPolicyInit
  /** Subjects whose own bucket could not pay and has not had a token since: as many as there can be buckets. */
  readonly #barred = new Set<string>()
  readonly #debits = new Map<string, Debit[]>()

  constructor(init: MisbehaviourPolicyInit) {
    this.#init = init
  }

  /** Charges an offence. */
  report(offence: Offence): void {
    const { costs, cutOff, emit } = this.#init
    const { cause, offender, evidence } = offence
    const key = offender.peerId ?? offender.ip
    // What a barred subject does is prevented, not charged: else its bar would never end.
    if (this.isBarred(key)) return
    const cost = costs[cause]
    const buckets = this.#bucketsOf(key)
    const paid = buckets.take(key, cost)
    this.#note(key, { cause, evidence, cost: paid ? cost : 0, time: Date.now() })
    if (paid) return
    // Every bucket is in use and empty: to remember this key, too, there is no room.
    const isBarred = buckets.has(key)
    if (isBarred) {
      this.#forgetServed()
      this.#barred.add(key)
    }
    cutOff(offender, `token bucket empty: ${cause}`)
    if (isBarred) emit({ type: 'ConnectionLimit', ...offender, cause })
  }

  /** Whether a peer ID, or the rate subject of an IP, has an empty bucket. */
  isBarred(key: string): boolean {
    if (!this.#barred.has(key)) return false
    if (this.#bucketsOf(key).readyIn(key) > 0) return true
    this.#barred.delete(key)
    return false
  }

  /** The buckets that are not full, emptiest first, at most `MAX_BUCKETS_SHOWN`, with the last charges of each. */
  inspect(): RuntimeSnapshot['buckets'] {
    const { peerBuckets, addressBuckets } = this.#init
    return [...peerBuckets.spent(), ...addressBuckets.spent()]
      .toSorted((a, b) => a.tokens - b.tokens)
      .slice(0, MAX_BUCKETS_SHOWN)
      .map(({ subject: key, tokens }) => ({
        ...(isAddress(key) ? { ip: key } : { peerId: key }),
        tokens,
        barred: this.isBarred(key),
        debits: [...(this.#debits.get(key) ?? [])]
      }))
  }

  #bucketsOf(key: string): BucketTable {
    return isAddress(key) ? this.#init.addressBuckets : this.#init.peerBuckets
  }

  /** Each new bar looks at the two oldest: the set never outgrows the buckets that are really empty by much. */
  #forgetServed(): void {
    let looked = 0
    for (const key of this.#barred) {
      this.isBarred(key)
      if (++looked === 2) return
    }
  }

  #note(key: string, debit: Debit): void {
    const debits = this.#debits.get(key) ?? []
    debits.push(debit)
    if (debits.length > DEBITS_PER_SUBJECT) debits.shift()
    // Set anew, so that the map stays in the order of the last debit.
    this.#debits.delete(key)
    this.#debits.set(key, debits)
    if (this.#debits.size > MAX_DEBIT_SUBJECTS) this.#debits.delete(this.#debits.keys().next().value!)
  }
}

/** Peer IDs are base58, which has neither dots nor colons. */
function isAddress(key: string): boolean {
  return key.includes('.') || key.includes(':')
}
