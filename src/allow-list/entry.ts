import { formatIpRange, parseIpRange } from '../addresses/index.ts'
import { P2pError, shown } from '../errors.ts'
import { canonicalPeerId } from '../identity/index.ts'
import { MAX_ENTRIES, MAX_IPS } from './limits.ts'

/** Who may connect, and from where. */
export interface AllowListEntry {
  /**
   * A libp2p peer ID in any of its text forms, or BitVMX's own name for a node: its key hash, 64 hex digits,
   * which is matched after the handshake.
   */
  peerId: string
  /**
   * IP addresses (`10.0.0.7`) and CIDR ranges (`10.0.0.0/24`, `2001:db8::/32`), 1 to 1,024 of them. Left
   * out: any address. An empty array is refused: it may be what remains of a list whose last address was taken away, and
   * that must not open the door to all. A range of one family holds none of the other: `::/0` is every IPv6 address and
   * no IPv4.
   */
  ips?: string[] | undefined
}

/** A whole allow list: the entries, or everybody from anywhere. */
export type AllowListContent = AllowListEntry[] | 'allow-all'

/** Whether a name is a key hash; a peer ID never is. */
export function isKeyHash(name: string): boolean {
  return /^[\da-f]{64}$/.test(name)
}

/**
 * The one text of a name: the canonical peer ID, or the key hash in lower case.
 *
 * @throws {P2pError} ERR_INVALID_PEER_ID
 */
export function canonicalName(name: unknown): string {
  if (typeof name === 'string' && name.length === 64) {
    const hash = name.toLowerCase()
    if (isKeyHash(hash)) return hash
  }
  return canonicalPeerId(name)
}

/**
 * The one text of an IP address or a CIDR range.
 *
 * @throws {P2pError} ERR_INVALID_ADDRESS
 */
export function canonicalIp(ip: unknown): string {
  const range = typeof ip === 'string' ? parseIpRange(ip) : undefined
  if (range === undefined) {
    throw new P2pError(
      'ERR_INVALID_ADDRESS',
      `Invalid IP address ${shown(ip)}: wanted an address such as '10.0.0.7' or a CIDR range such as '10.0.0.0/24' or '2001:db8::/32'`
    )
  }
  return formatIpRange(range)
}

/**
 * An entry in its canonical form, which shares nothing with the given one. Addresses keep their order;
 * repeated ones are dropped.
 *
 * @throws {P2pError} ERR_INVALID_PEER_ID, ERR_INVALID_ADDRESS, or ERR_INVALID_OPTION when it has another shape
 */
export function canonicalEntry(value: unknown): AllowListEntry {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalid(`Invalid allow list entry ${shown(value)}: wanted { peerId, ips? }`)
  }
  // a mistyped `ips` would otherwise open the node to any address
  const unknown = Object.keys(value).find(key => key !== 'peerId' && key !== 'ips')
  if (unknown !== undefined) {
    throw invalid(`Unknown property ${shown(unknown)} of an allow list entry: wanted { peerId, ips? }`)
  }
  const { peerId, ips } = value as { peerId?: unknown; ips?: unknown }
  const name = canonicalName(peerId)
  return ips === undefined ? { peerId: name } : { peerId: name, ips: canonicalIps(ips) }
}

/**
 * Every entry in its canonical form. No two may have the same name.
 *
 * @throws {P2pError} as `canonicalEntry`
 */
export function canonicalEntries(values: unknown): AllowListEntry[] {
  if (!Array.isArray(values) || values.length > MAX_ENTRIES) {
    throw invalid(
      `Invalid allow list ${shown(values)}: wanted 'allow-all' or an array of at most ${MAX_ENTRIES} entries`
    )
  }
  const names = new Set<string>()
  // not `map`, which passes over holes
  return Array.from(values, value => {
    const entry = canonicalEntry(value)
    if (names.has(entry.peerId)) throw invalid(`Two allow list entries for ${entry.peerId}: wanted one`)
    names.add(entry.peerId)
    return entry
  })
}

function canonicalIps(ips: unknown): string[] {
  if (!Array.isArray(ips) || ips.length === 0 || ips.length > MAX_IPS) {
    throw invalid(
      `Invalid ips ${shown(ips)} of an allow list entry: wanted an array of 1 to ${MAX_IPS}; leave ips out to allow any address`
    )
  }
  return [...new Set(Array.from(ips, canonicalIp))]
}

function invalid(message: string): P2pError {
  return new P2pError('ERR_INVALID_OPTION', message)
}
