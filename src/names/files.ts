/** What this machine's administrator has written about names: the hosts file, and how DNS is asked. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { normalizeIp } from '../addresses/index.ts'

/** Of a longer file only the beginning counts: lists of what to block have megabytes, and stand at the end. */
const MAX_FILE_BYTES = 1024 * 1024
/** Search domains that count; resolvers took 6 at first. */
const MAX_SEARCH_DOMAINS = 16
/** Largest `ndots` that counts (resolv.conf(5)). */
const MAX_NDOTS = 15
/** The longest name (RFC 1035, section 2.3.4). */
const MAX_NAME_CHARACTERS = 253

export const HOSTS_PATH: string =
  process.platform === 'win32'
    ? join(process.env['SystemRoot'] ?? 'C:\\Windows', 'System32', 'drivers', 'etc', 'hosts')
    : '/etc/hosts'
export const RESOLV_CONF_PATH = '/etc/resolv.conf'

/**
 * The addresses that a hosts file gives a name, normalised, in the file's order, each once. It is read anew each time:
 * what an administrator changes counts at once, and a look-up is rare and the file short.
 *
 * @param name in lower case
 */
export function addressesInHosts(path: string, name: string): string[] {
  const found = new Set<string>()
  for (const line of linesOf(path)) {
    const [address = '', ...names] = line.split(/\s+/)
    if (!names.some(one => one.toLowerCase() === name)) continue
    const ip = normalizeIp(address)
    if (ip !== undefined) found.add(ip)
  }
  return [...found]
}

/**
 * The names under which DNS is asked for a host, in order: as resolv.conf(5) says, a name with fewer dots than `ndots` is
 * looked for in the search domains first, any other as it stands first.
 */
export function namesToAsk(path: string, host: string): string[] {
  let domains: string[] = []
  let ndots = 1
  for (const line of linesOf(path)) {
    const [keyword, ...values] = line.split(/\s+/)
    // The last of these lines counts.
    if (keyword === 'search' || keyword === 'domain') domains = values.slice(0, MAX_SEARCH_DOMAINS)
    if (keyword !== 'options') continue
    for (const value of values) {
      const given = /^ndots:(\d{1,3})$/.exec(value)?.[1]
      if (given !== undefined) ndots = Math.min(Number(given), MAX_NDOTS)
    }
  }
  const searched = domains
    .map(domain => `${host}.${domain.toLowerCase().replace(/^\.+|\.+$/g, '')}`)
    .filter(name => name.length <= MAX_NAME_CHARACTERS && !name.endsWith('.'))
  const dots = host.split('.').length - 1
  return [...new Set(dots >= ndots ? [host, ...searched] : [...searched, host])]
}

/** Lines without comments and surrounding space, none of them empty. */
function linesOf(path: string): string[] {
  return textOf(path)
    .split('\n')
    .map(line => line.replace(/[#;].*/, '').trim())
    .filter(line => line !== '')
}

/** The beginning of a file; nothing when there is none that can be read. */
function textOf(path: string): string {
  let file: number | undefined
  try {
    file = openSync(path, 'r')
    const { size } = fstatSync(file)
    const bytes = Buffer.alloc(Math.min(size, MAX_FILE_BYTES))
    const text = bytes.toString('latin1', 0, readSync(file, bytes))
    return size > MAX_FILE_BYTES ? text.slice(0, text.lastIndexOf('\n') + 1) : text
  } catch {
    return ''
  } finally {
    if (file !== undefined) closeSync(file)
  }
}
