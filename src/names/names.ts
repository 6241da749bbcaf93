/**
 * Names to addresses. Three sources are asked, in this order, each only for what those before it do not know
 * (docs/decisions/0014-names.md):
 *
 * 1. `localhost` and the hosts file, read here;
 * 2. DNS, by c-ares: it holds no thread, and what nobody waits for any more holds up nothing;
 * 3. the system's own look-up, for what DNS says it does not know and the system may know by other ways (multicast DNS,
 *    directories). It holds a thread of the process and cannot be ended, so it is used for one name at a time, and not
 *    where DNS is silent or fails: there the system would be stuck, too.
 */
import { lookup, Resolver } from 'node:dns/promises'
import { isIPv6 } from 'node:net'
import { normalizeIp } from '../addresses/index.ts'
import type { Clock } from '../clock.ts'
import { Places } from '../places.ts'
import { addressesInHosts, HOSTS_PATH, namesToAsk, RESOLV_CONF_PATH } from './files.ts'

/** 0: any. */
export type Family = 0 | 4 | 6
/** The values of `dns.setDefaultResultOrder`. */
export type ResultOrder = 'verbatim' | 'ipv4first' | 'ipv6first'

/**
 * A server is given so long at first, in milliseconds, and longer each further time. Newer c-ares take less than that from
 * a server that has been quick, down to 250 ms: so two tries would call a name dead when one datagram is lost and the
 * server hesitates. A dial has a time of its own.
 */
export const QUERY = { timeout: 2_000, tries: 4 }
/**
 * When one family's addresses are there, those of the other are waited for so long, in milliseconds. RFC 8305, section
 * 3, takes 50 because it lets later ones join; here they do not.
 */
const OTHER_FAMILY_MS = 500
/** So long a resolver is used for new questions, in milliseconds: it has read the system's name servers when it was made. */
const RESOLVER_AGE_MS = 30_000

/** How DNS says that there is no such name, or no such service here. Other failures may take it long, and again the system. */
const DENIALS: readonly string[] = ['ENOTFOUND', 'ENODATA', 'ECONNREFUSED']

/** The parts of c-ares' resolver that are used here. */
export type Dns = Pick<Resolver, 'resolve4' | 'resolve6' | 'cancel'>

export interface NamesInit {
  clock: Clock
  order: ResultOrder
  hostsPath?: string
  resolvConfPath?: string
  /** A resolver with the name servers of now. */
  dns?: () => Dns
  /** The system's own look-up; the addresses in its order. */
  system?: (host: string, family: Family) => Promise<string[]>
}

/** A name has no address that can be found; `code` is the resolver's word for it. */
export class NameError extends Error {
  readonly code: string

  constructor(host: string, code: string) {
    super(`${host} cannot be resolved (${code})`)
    this.name = 'NameError'
    this.code = code
  }
}

/** One for all who ask for the same name at the same time. */
interface LookUp {
  result: Promise<string[]>
  waiters: number
  abandoned: AbortController
}

/** Resolves names: however many are dead, none of them delays another that DNS or the hosts file knows. */
export class Names {
  readonly #init: Required<NamesInit>
  readonly #lookUps = new Map<string, LookUp>()
  readonly #system = new Places(1)
  #dns: { resolver: Dns; madeAt: number } | undefined

  constructor(init: NamesInit) {
    this.#init = {
      hostsPath: HOSTS_PATH,
      resolvConfPath: RESOLV_CONF_PATH,
      dns: () => new Resolver(QUERY),
      system: bySystem,
      ...init
    }
  }

  /**
   * The addresses of a name, normalised, one or more, the families taking turns (RFC 8305, section 4), beginning with the
   * one that the result order prefers.
   *
   * @param host a host name in lower case
   * @throws NameError; the signal's reason when it aborts, at once
   */
  async resolve(host: string, family: Family, signal: AbortSignal): Promise<string[]> {
    const key = `${family} ${host}`
    let lookUp = this.#lookUps.get(key)
    if (lookUp === undefined) {
      const abandoned = new AbortController()
      const result = this.#find(host, family, abandoned.signal)
      // It may fail when nobody waits for it any more.
      result.catch(() => {})
      this.#lookUps.set(key, (lookUp = { result, waiters: 0, abandoned }))
    }
    lookUp.waiters++
    try {
      // Who blocks a name in the hosts file, or in a DNS server, gives it the unspecified address: that is this machine.
      const found = (await unlessAborted(lookUp.result, signal)).filter(ip => ip !== '0.0.0.0' && ip !== '::')
      if (found.length === 0) throw new NameError(host, 'ENODATA')
      return inTurns(found, this.#init.order)
    } finally {
      if (--lookUp.waiters === 0) this.#abandon(key, lookUp)
    }
  }

  /** Nobody waits for it any more; most have ended by now. */
  #abandon(key: string, { abandoned }: LookUp): void {
    this.#lookUps.delete(key)
    abandoned.abort()
    if (this.#lookUps.size > 0) return
    this.#dns?.resolver.cancel()
    this.#dns = undefined
  }

  async #find(host: string, family: Family, signal: AbortSignal): Promise<string[]> {
    const { hostsPath } = this.#init
    const isLocal = host === 'localhost' || host.endsWith('.localhost')
    // RFC 6761, section 6.3: these are loopback, also where the file does not say so, and never asked of DNS.
    const known = [...addressesInHosts(hostsPath, host), ...(isLocal ? ['::1', '127.0.0.1'] : [])]
    const fitting = [...new Set(known)].filter(ip => family === 0 || familyOf(ip) === family)
    if (fitting.length > 0) return fitting
    if (isLocal) throw new NameError(host, 'ENOTFOUND')
    return (await this.#byDns(host, family, signal)) ?? this.#bySystem(host, family, signal)
  }

  /** Undefined: DNS says at once that there is none. @throws NameError when it says nothing, or not what it should */
  async #byDns(host: string, family: Family, signal: AbortSignal): Promise<string[] | undefined> {
    let fault: string | undefined
    for (const name of namesToAsk(this.#init.resolvConfPath, host)) {
      try {
        return await this.#ask(name, family)
      } catch (err) {
        const code = codeOf(err)
        signal.throwIfAborted()
        if (code === 'ETIMEOUT' || code === 'ECANCELLED') throw new NameError(host, code)
        if (!DENIALS.includes(code)) fault ??= code
      }
    }
    if (fault !== undefined) throw new NameError(host, fault)
    return undefined
  }

  /** Both families at once. @throws the more telling error of both when there is no address */
  async #ask(name: string, family: Family): Promise<string[]> {
    const resolver = this.#resolver()
    const asked = [
      ...(family === 4 ? [] : [resolver.resolve6(name)]),
      ...(family === 6 ? [] : [resolver.resolve4(name)])
    ]
    const answers: string[][] = asked.map(() => [])
    const errors: unknown[] = []
    return new Promise((resolve, reject) => {
      let cancel: (() => void) | undefined
      let open = asked.length
      const told = (): string[] => answers.flat().flatMap(text => normalizeIp(text) ?? [])
      const settle = (): void => {
        cancel?.()
        const found = told()
        if (found.length > 0) resolve(found)
        else
          reject(
            errors.find(err => codeOf(err) === 'ETIMEOUT') ?? errors[0] ?? new NameError(name, 'ENODATA')
          )
      }
      const look = (): void => {
        if (--open === 0) settle()
        else if (told().length > 0) cancel = this.#init.clock.after(OTHER_FAMILY_MS, settle)
      }
      for (const [index, answer] of asked.entries()) {
        void answer.then(
          addresses => {
            answers[index] = addresses
            look()
          },
          (err: unknown) => {
            errors.push(err)
            look()
          }
        )
      }
    })
  }

  #resolver(): Dns {
    const now = this.#init.clock.now()
    if (this.#dns === undefined || now - this.#dns.madeAt >= RESOLVER_AGE_MS) {
      // What was asked of the one before ends by itself.
      this.#dns = { resolver: this.#init.dns(), madeAt: now }
    }
    return this.#dns.resolver
  }

  async #bySystem(host: string, family: Family, signal: AbortSignal): Promise<string[]> {
    const leave = await this.#system.enter(signal)
    try {
      const found = (await this.#init.system(host, family)).flatMap(ip => normalizeIp(ip) ?? [])
      if (found.length > 0) return [...new Set(found)]
    } catch (err) {
      throw new NameError(host, codeOf(err))
    } finally {
      // Not when nobody waits any more: it holds its thread until it ends.
      leave()
    }
    throw new NameError(host, 'ENODATA')
  }
}

async function bySystem(host: string, family: Family): Promise<string[]> {
  const found = await lookup(host, { all: true, family, order: 'verbatim' })
  return found.map(({ address }) => address)
}

/** The first of one family, the first of the other, the second of the one, and so on. */
function inTurns(ips: string[], order: ResultOrder): string[] {
  const first = order === 'ipv4first' ? 4 : order === 'ipv6first' ? 6 : familyOf(ips[0]!)
  const preferred = ips.filter(ip => familyOf(ip) === first)
  const others = ips.filter(ip => familyOf(ip) !== first)
  const turns = Math.max(preferred.length, others.length)
  return Array.from({ length: turns }, (_, turn) => [preferred[turn], others[turn]])
    .flat()
    .filter(ip => ip !== undefined)
}

function familyOf(ip: string): Family {
  return isIPv6(ip) ? 6 : 4
}

function codeOf(err: unknown): string {
  const code = typeof err === 'object' && err !== null && 'code' in err ? err.code : undefined
  return typeof code === 'string' ? code : 'ENOTFOUND'
}

/** Whoever is tired of waiting goes; the work goes on for the others. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted()
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error)
    signal.addEventListener('abort', abort, { once: true })
    void work.then(resolve, reject).then(() => signal.removeEventListener('abort', abort))
  })
}
