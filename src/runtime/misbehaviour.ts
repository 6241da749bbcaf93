import type { ControlEvent, MisbehaviourCause, Offender, RuntimeSnapshot } from '../bridge/index.ts'
import type { BucketTable } from '../rate-limiter/index.ts'
import { MAX_BUCKETS_SHOWN, MAX_DEBITS_KEPT, MAX_DEBTORS_KEPT } from './limits.ts'

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
  /** Ends everything that the offender has here; it is barred already. */
  cutOff: (offender: Offender, reason: string) => void
  emit: (event: Extract<ControlEvent, { type: 'ConnectionLimit' }>) => void
}

/**
 * The misbehaviour policy (docs/decisions/0003). Observers report facts; it alone charges the offender's bucket and,
 * when the bucket cannot pay, bars the offender, cuts it off and says so once, in that order. Nothing else ends a
 * connection for an offence. A bar ends when the bucket's own refill has brought one token back. An offender without a
 * bucket of its own, because all are in use and empty, is cut off each time, and neither barred nor reported.
 */
export class MisbehaviourPolicy {
  readonly #init: MisbehaviourPolicyInit
  /** Peer IDs and address keys whose own bucket could not pay and has not had a token since: as many as there can be buckets. */
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
    // What a barred offender does is prevented, not charged: else its bar would never end.
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

  /** Whether a peer ID, or the address key of an IP, has an empty bucket. */
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
    if (debits.length > MAX_DEBITS_KEPT) debits.shift()
    // Set anew, so that the map stays in the order of the last debit.
    this.#debits.delete(key)
    this.#debits.set(key, debits)
    if (this.#debits.size > MAX_DEBTORS_KEPT) this.#debits.delete(this.#debits.keys().next().value!)
  }
}

/** Peer IDs are base58, which has neither dots nor colons. */
function isAddress(key: string): boolean {
  return key.includes('.') || key.includes(':')
}
