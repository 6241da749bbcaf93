import { BlockList, isIP } from 'node:net'
import { parseIpRange } from '../addresses/index.ts'

/** The addresses of one entry: a table of single ones, and the ranges, which are tried one after the other. */
export class AddressSet {
  readonly #single = new Set<string>()
  // one list a family: in a common one, `::/0` would hold IPv4 too
  #ranges4: BlockList | undefined
  #ranges6: BlockList | undefined

  /** @param ips texts that `canonicalIp` gave */
  constructor(ips: readonly string[]) {
    for (const ip of ips) {
      const range = parseIpRange(ip)
      if (range === undefined || range.single) {
        this.#single.add(ip)
      } else if (range.kind === 'ip4') {
        this.#ranges4 ??= new BlockList()
        this.#ranges4.addSubnet(range.network, range.prefix, 'ipv4')
      } else {
        this.#ranges6 ??= new BlockList()
        this.#ranges6.addSubnet(range.network, range.prefix, 'ipv6')
      }
    }
  }

  /** @param ip a text that `normalizeIp` gave; any other is in no set */
  has(ip: string): boolean {
    if (this.#single.has(ip)) return true
    const version = isIP(ip)
    if (version === 4) return this.#ranges4?.check(ip, 'ipv4') ?? false
    if (version === 6) return this.#ranges6?.check(ip, 'ipv6') ?? false
    return false
  }
}
