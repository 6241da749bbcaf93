import { P2pError, shown } from '../errors.ts'
import { AddressSet } from './address-set.ts'
import {
  canonicalEntries,
  canonicalEntry,
  canonicalName,
  isKeyHash,
  type AllowListContent,
  type AllowListEntry
} from './entry.ts'
import { MAX_ENTRIES } from './limits.ts'

/** Whether a node may connect, or which half of the rule it fails. */
export type Verdict = 'allowed' | 'unknown-peer' | 'wrong-address'

interface Rule {
  readonly entry: AllowListEntry
  /** made at the first question: a list may have far more entries than its node will ever have connections */
  addresses?: AddressSet
}

/**
 * Who may connect, and from where. Nobody, unless an entry names them or the list allows everybody.
 *
 * A node has two names, its peer ID and its key hash, and may have an entry under each; it is allowed when
 * one of the two allows it.
 *
 * The list only answers: ending what a change forbids is its owner's work.
 */
export class AllowList {
  #rules = new Map<string, Rule>()
  #keyHashes = 0
  #everybody = false

  /** @throws {P2pError} as `replace` */
  constructor(initial: AllowListContent) {
    this.replace(initial)
  }

  /** Everybody is allowed from anywhere, whatever the entries say. */
  get everybody(): boolean {
    return this.#everybody
  }

  /**
   * Adds an entry, or puts it in the place of the one that has its name.
   *
   * @throws {P2pError} ERR_INVALID_PEER_ID, ERR_INVALID_ADDRESS, or ERR_INVALID_OPTION when the entry has
   * another shape or is one above 65,536; the list is then as it was
   */
  add(entry: AllowListEntry): void {
    const canonical = canonicalEntry(entry)
    const name = canonical.peerId
    if (!this.#rules.has(name)) {
      if (this.#rules.size >= MAX_ENTRIES) {
        throw new P2pError('ERR_INVALID_OPTION', `The allow list is full: it has ${MAX_ENTRIES} entries`)
      }
      if (isKeyHash(name)) this.#keyHashes++
    }
    this.#rules.set(name, { entry: canonical })
  }

  /**
   * Removes the entry with this name, a peer ID in any form or a key hash.
   *
   * @returns whether there was one
   * @throws {P2pError} ERR_INVALID_PEER_ID
   */
  remove(peerId: string): boolean {
    const name = canonicalName(peerId)
    const removed = this.#rules.delete(name)
    if (removed && isKeyHash(name)) this.#keyHashes--
    return removed
  }

  /**
   * Puts another list in the place of this one, or changes nothing.
   *
   * @throws {P2pError} ERR_INVALID_PEER_ID, ERR_INVALID_ADDRESS, or ERR_INVALID_OPTION when an entry has
   * another shape, two have the same name, or there are more than 65,536
   */
  replace(content: AllowListContent): void {
    this.#rules = rulesOf(content)
    this.#keyHashes = Array.from(this.#rules.keys()).filter(isKeyHash).length
    this.#everybody = content === 'allow-all'
  }

  /**
   * Allows everybody, or again only those with an entry. The entries stay.
   *
   * @throws {P2pError} ERR_INVALID_OPTION when `on` is not a boolean
   */
  allowAll(on: boolean): void {
    if (typeof on !== 'boolean') {
      throw new P2pError('ERR_INVALID_OPTION', `Invalid allowAll argument ${shown(on)}: wanted true or false`)
    }
    this.#everybody = on
  }

  /** The entries in their canonical form, in the order of their first `add`; copies. */
  entries(): AllowListEntry[] {
    return Array.from(this.#rules.values(), ({ entry: { peerId, ips } }) =>
      ips === undefined ? { peerId } : { peerId, ips: [...ips] }
    )
  }

  /**
   * The verdict on a node that has proved its identity.
   *
   * @param peerId its canonical peer ID
   * @param keyHash its key hash in lower case; undefined: not known, and no key hash entry matches
   * @param ip its address, of `normalizeIp`; undefined: not known, and only an entry for any address allows it
   */
  verdict(peerId: string, keyHash: string | undefined, ip: string | undefined): Verdict {
    if (this.#everybody) return 'allowed'
    const byPeerId = this.#rules.get(peerId)
    const byKeyHash = keyHash === undefined ? undefined : this.#rules.get(keyHash)
    if (byPeerId === undefined && byKeyHash === undefined) return 'unknown-peer'
    return admits(byPeerId, ip) || admits(byKeyHash, ip) ? 'allowed' : 'wrong-address'
  }

  /**
   * The verdict on a node that is about to be dialled: as `verdict`, but without its key hash, which only the handshake tells,
   * any key hash entry may be the one that allows it.
   */
  foresee(peerId: string, keyHash: string | undefined, ip: string | undefined): Verdict {
    return keyHash === undefined && this.#keyHashes > 0 ? 'allowed' : this.verdict(peerId, keyHash, ip)
  }

  /**
   * Whether this peer could be allowed from some address, asked before dialling it. Without its key hash,
   * which only the handshake tells, the answer is yes as soon as the list has a key hash entry.
   */
  mayKnow(peerId: string, keyHash?: string): boolean {
    if (this.#everybody || this.#rules.has(peerId)) return true
    return keyHash === undefined ? this.#keyHashes > 0 : this.#rules.has(keyHash)
  }
}

function admits(rule: Rule | undefined, ip: string | undefined): boolean {
  if (rule === undefined) return false
  if (rule.entry.ips === undefined) return true
  if (ip === undefined) return false
  rule.addresses ??= new AddressSet(rule.entry.ips)
  return rule.addresses.has(ip)
}

function rulesOf(content: AllowListContent): Map<string, Rule> {
  if (content === 'allow-all') return new Map()
  return new Map(canonicalEntries(content).map(entry => [entry.peerId, { entry }]))
}
