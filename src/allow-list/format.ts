import { P2pError } from '../errors.ts'
import { canonicalEntries, isKeyHash, type AllowListContent, type AllowListEntry } from './entry.ts'
import { MAX_TEXT_BYTES } from './limits.ts'

/**
 * Writes an allow list as the YAML that `parseAllowList` reads back as the same list, in canonical form.
 *
 * @throws {P2pError} ERR_INVALID_PEER_ID, ERR_INVALID_ADDRESS, or ERR_INVALID_OPTION when an entry has
 * another shape, two have the same name, there are more than 65,536, or the text would exceed 16 MiB
 */
export function formatAllowList(list: AllowListContent): string {
  if (list === 'allow-all') return 'allow_all\n'
  const text = canonicalEntries(list).map(formatEntry).join('')
  if (text.length > MAX_TEXT_BYTES) {
    throw new P2pError(
      'ERR_INVALID_OPTION',
      `The allow list is too large to be written: ${text.length} bytes, at most ${MAX_TEXT_BYTES}`
    )
  }
  return text
}

function formatEntry({ peerId, ips }: AllowListEntry): string {
  const name = `${formatName(peerId)}:`
  if (ips === undefined) return `${name} ~\n`
  if (ips.length === 1) return `${name} ${ips.map(formatIp).join()}\n`
  return `${name}\n${ips.map(ip => `  - ${formatIp(ip)}\n`).join('')}`
}

/** Quotes a key hash that other readers of YAML would take for a number: `12e45`, `0b01`. */
function formatName(name: string): string {
  return isKeyHash(name) && /^(?:[\de]+|0b[01]+)$/.test(name) ? `'${name}'` : name
}

/** Quotes IPv6, whose colons can mean a mapping or, in YAML 1.1, a number to the base of 60. */
function formatIp(ip: string): string {
  return ip.includes(':') ? `'${ip}'` : ip
}
