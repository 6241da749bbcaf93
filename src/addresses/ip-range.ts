import { isIP } from 'node:net'
import { formatIp, ipGroups, isMapped, maskGroups } from './ip.ts'

/** '0000:0000:0000:0000:0000:ffff:255.255.255.255/128' has 49 characters. */
const MAX_RANGE_CHARACTERS = 64

/** The IP addresses that share their first `prefix` bits with `network`. */
export interface IpRange {
  kind: 'ip4' | 'ip6'
  /** the lowest address of the range, in the form of `normalizeIp` */
  network: string
  /** bits: 0 to 32 for IPv4, 0 to 128 for IPv6 */
  prefix: number
  /** the range is one address */
  single: boolean
}

/**
 * Reads an IP address or a CIDR range: `10.0.0.7`, `10.0.0.0/24`, `2001:db8::/32`. Bits after the prefix are
 * cleared. IPv4-mapped IPv6 is IPv4: `::ffff:10.0.0.0/104` is `10.0.0.0/8`.
 *
 * Undefined for anything else, and for what cannot be kept as written: an address with a zone (`fe80::1%eth0`
 * means one link, but a peer's link is not known), and an IPv4-mapped address with a prefix below 96, which
 * would be a range of IPv6 addresses that no peer has.
 */
export function parseIpRange(text: string): IpRange | undefined {
  if (text.length > MAX_RANGE_CHARACTERS || text.includes('%')) return undefined
  const [address = '', suffix, ...rest] = text.split('/', 3)
  const version = isIP(address)
  if (version === 0 || rest.length > 0) return undefined

  const width = version === 4 ? 32 : 128
  if (suffix !== undefined && !/^(?:0|[1-9]\d{0,2})$/.test(suffix)) return undefined
  const prefix = suffix === undefined ? width : Number(suffix)
  if (prefix > width) return undefined

  const groups = ipGroups(address)
  const bits = 128 - width + prefix
  const mapped = isMapped(groups)
  if (mapped && bits < 96) return undefined
  return {
    kind: mapped ? 'ip4' : 'ip6',
    network: formatIp(maskGroups(groups, bits)),
    prefix: mapped ? bits - 96 : bits,
    single: bits === 128
  }
}

/** The canonical text of a range: equal for equal ranges, and without a prefix for a single address. */
export function formatIpRange(range: IpRange): string {
  return range.single ? range.network : `${range.network}/${range.prefix}`
}
