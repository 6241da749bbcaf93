import { isIP } from 'node:net'

/** IPv6 in its longest form has 45 characters; the rest is room for a zone such as '%enp0s31f6'. */
const MAX_IP_CHARACTERS = 128

/** No multiaddr of a connection comes near this many characters. */
const MAX_MULTIADDR_CHARACTERS = 512

/** An IPv6 address as its eight 16-bit groups; an IPv4 address as its IPv4-mapped form. */
export type Groups = readonly number[]

/**
 * The one text by which this package knows an IP address, so that two texts of one address are equal:
 *
 * - IPv4 in dotted decimal, without leading zeros;
 * - IPv6 in lower case, compressed as RFC 5952 says;
 * - IPv4-mapped IPv6 (`::ffff:10.0.0.7`, as a dual-stack socket reports an IPv4 peer) as the IPv4 address;
 * - without a zone (`fe80::1%eth0` is `fe80::1`): a zone names a link of this machine, not the peer.
 *
 * Undefined when the text is not an IP address. It costs an IPv4 address one pattern match.
 */
export function normalizeIp(text: string): string | undefined {
  if (text.length > MAX_IP_CHARACTERS) return undefined
  switch (isIP(text)) {
    case 4:
      return text
    case 6:
      return formatIp(ipGroups(text))
    default:
      return undefined
  }
}

/**
 * The normalised IP address that a multiaddr text begins with: `/ip4/1.2.3.4/tcp/5` gives `1.2.3.4`.
 * Undefined for a DNS name, another transport or a text that is no multiaddr.
 */
export function ipOfMultiaddr(text: string): string | undefined {
  if (text.length > MAX_MULTIADDR_CHARACTERS) return undefined
  const [root, ...parts] = text.split('/', 6)
  if (root !== '') return undefined

  const [protocol, value] = parts[0] === 'ip6zone' ? parts.slice(2) : parts
  if (value === undefined) return undefined
  if (protocol === 'ip4') return isIP(value) === 4 ? value : undefined
  if (protocol === 'ip6') return isIP(value) === 6 ? normalizeIp(value) : undefined
  return undefined
}

/**
 * Whom to charge for what an address does before it proves an identity: an IPv4 address itself; of an IPv6
 * address its /64, written `2001:db8:0:1::/64`, because that is the least a host is given and it may use any
 * address in it.
 *
 * @param ip an IP address in any text form; any other text is its own subject
 */
export function addressKey(ip: string): string {
  const normalized = normalizeIp(ip) ?? ip
  if (isIP(normalized) !== 6) return normalized
  return `${formatIp(maskGroups(ipGroups(normalized), 64))}/64`
}

/**
 * The network that an address belongs to, as far as that can be guessed: the /24 of an IPv4 address, the /48 of an IPv6
 * address, which is what a site is given. Who has many addresses has them in few networks.
 *
 * @param ip an IP address in any text form; any other text is its own network
 */
export function networkOf(ip: string): string {
  const normalized = normalizeIp(ip) ?? ip
  switch (isIP(normalized)) {
    case 4:
      return `${formatIp(maskGroups(ipGroups(normalized), 120))}/24`
    case 6:
      return `${formatIp(maskGroups(ipGroups(normalized), 48))}/48`
    default:
      return normalized
  }
}

/**
 * Reads an IP address.
 *
 * @param ip a text for which `isIP` is not 0; a zone is dropped
 */
export function ipGroups(ip: string): Groups {
  const [address = ''] = (ip.includes(':') ? ip : `::ffff:${ip}`).split('%', 1)
  const [head = '', tail] = address.split('::')
  const before = readGroups(head)
  if (tail === undefined) return before
  const after = readGroups(tail)
  return [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after]
}

/** The groups of colon-separated text, the last of which may be dotted decimal, which is two groups. */
function readGroups(text: string): number[] {
  if (text === '') return []
  return text.split(':').flatMap(group => {
    if (!group.includes('.')) return Number.parseInt(group, 16)
    const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number)
    return [a * 256 + b, c * 256 + d]
  })
}

/** Whether the address is an IPv4 address in IPv6 form, `::ffff:0:0/96` (RFC 4291, section 2.5.5.2). */
export function isMapped(groups: Groups): boolean {
  return groups[5] === 0xffff && groups.slice(0, 5).every(group => group === 0)
}

/** Clears all but the first `bits` (0 to 128) bits. */
export function maskGroups(groups: Groups, bits: number): Groups {
  return groups.map((group, index) => {
    const kept = Math.min(16, Math.max(0, bits - 16 * index))
    return group & (0xffff << (16 - kept))
  })
}

/** Writes an address as `normalizeIp` promises. */
export function formatIp(groups: Groups): string {
  if (isMapped(groups)) {
    return groups
      .slice(6)
      .flatMap(group => [group >> 8, group & 0xff])
      .join('.')
  }
  const hex = groups.map(group => group.toString(16))
  const { start, length } = longestZeroRun(groups)
  // RFC 5952, section 4.2.2: '::' does not stand for a single group
  if (length < 2) return hex.join(':')
  return `${hex.slice(0, start).join(':')}::${hex.slice(start + length).join(':')}`
}

/** The first of the longest runs of zero groups (RFC 5952, section 4.2.3). */
function longestZeroRun(groups: Groups): { start: number; length: number } {
  let longest = { start: 0, length: 0 }
  let length = 0
  for (const [index, group] of groups.entries()) {
    length = group === 0 ? length + 1 : 0
    if (length > longest.length) longest = { start: index - length + 1, length }
  }
  return longest
}
