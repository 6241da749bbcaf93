import { isIP } from 'node:net'
import { multiaddr } from '@multiformats/multiaddr'
import { P2pError, shown } from '../errors.ts'
import { normalizeIp } from './ip.ts'

/** The longest name has 253 characters (RFC 1035), the longest peer ID 67. */
const MAX_ADDRESS_CHARACTERS = 512

/** Where a node listens or is dialled: TCP at a host and a port. */
export interface Endpoint {
  kind: 'ip4' | 'ip6' | 'dns' | 'dns4' | 'dns6'
  /** an IP address in the form of `normalizeIp`, or a host name in lower case */
  host: string
  /** 0 to 65535; 0, when listening, lets the system choose */
  port: number
  /** what follows `/p2p/`, in base58; whether it is a node's peer ID is for `canonicalPeerId` to say */
  peerId?: string
}

/** What distinguishes listening from dialling. */
interface Purpose {
  name: string
  minPort: number
  allowsNames: boolean
  allowsUnspecified: boolean
  forms: string
}

const LISTEN: Purpose = {
  name: 'listen address',
  minPort: 0,
  allowsNames: false,
  allowsUnspecified: true,
  forms: "'ip:port', '[ipv6]:port', '/ip4/…/tcp/port' or '/ip6/…/tcp/port', port 0 to 65535"
}

const DIAL: Purpose = {
  name: 'dial address',
  minPort: 1,
  allowsNames: true,
  allowsUnspecified: false,
  forms:
    "'ip:port', '[ipv6]:port', 'host.name:port' or '/ip4/…/tcp/port', the same with /ip6, /dns, /dns4 or /dns6, port 1 to 65535"
}

/**
 * Reads an address to listen on: `127.0.0.1:4001`, `[::1]:4001`, `/ip4/0.0.0.0/tcp/4001`, `/ip6/::/tcp/0`, the
 * latter two with or without `/p2p/<peer ID>`. Port 0 to 65535, decimal, without leading zeros. IPv4-mapped
 * IPv6 is read as IPv4.
 *
 * IPv6 zones (`fe80::1%eth0`, `/ip6zone/eth0/…`) are refused, here and for dialling: libp2p's TCP transport
 * does not pass the zone on, so that the socket would fail, or take another link than the one named.
 *
 * @throws {P2pError} ERR_INVALID_ADDRESS for anything else: other transports, names, no port, more than 512
 * characters, or not a string
 */
export function parseListenAddress(text: unknown): Endpoint {
  return parseEndpoint(text, LISTEN)
}

/**
 * Reads an address to dial: as for listening, with port 1 to 65535, and also `host.name:port`,
 * `/dns/host.name/tcp/port`, `/dns4/…` and `/dns6/…`. The unspecified addresses `0.0.0.0` and `::` name no
 * node and are refused. A name is of letters, digits, hyphens and underscores, in labels of 1 to 63; its last
 * label is not a number, because resolvers take `127.1` and `0x7f000001` for addresses.
 *
 * @throws {P2pError} ERR_INVALID_ADDRESS for anything else
 */
export function parseDialAddress(text: unknown): Endpoint {
  return parseEndpoint(text, DIAL)
}

/** The multiaddr text of an endpoint, which `parseDialAddress` and `parseListenAddress` read back as equal. */
export function toMultiaddr(endpoint: Endpoint): string {
  const { kind, host, port, peerId } = endpoint
  return `/${kind}/${host}/tcp/${port}${peerId === undefined ? '' : `/p2p/${peerId}`}`
}

function parseEndpoint(text: unknown, purpose: Purpose): Endpoint {
  if (typeof text !== 'string') throw invalid(text, purpose, 'not a string')
  if (text.length > MAX_ADDRESS_CHARACTERS) {
    throw invalid(text, purpose, `longer than ${MAX_ADDRESS_CHARACTERS} characters`)
  }
  if (text.includes('%') || text.startsWith('/ip6zone/')) {
    throw invalid(text, purpose, 'zones and escapes are not supported')
  }

  let endpoint: Endpoint | undefined
  try {
    endpoint = text.startsWith('/') ? fromMultiaddr(text) : fromHostAndPort(text)
  } catch (err) {
    throw invalid(text, purpose, 'not a multiaddr', err)
  }
  if (endpoint === undefined) throw invalid(text, purpose, 'not one of the accepted forms')

  const isName = endpoint.kind.startsWith('dns')
  if (isName && !purpose.allowsNames) throw invalid(text, purpose, 'an IP address is needed')
  if (!purpose.allowsUnspecified && (endpoint.host === '0.0.0.0' || endpoint.host === '::')) {
    throw invalid(text, purpose, 'the unspecified address names no node')
  }
  if (endpoint.port < purpose.minPort || endpoint.port > 65_535) {
    throw invalid(text, purpose, `port ${endpoint.port} is out of range`)
  }
  return endpoint
}

function fromHostAndPort(text: string): Endpoint | undefined {
  const match = /^(?:\[([\da-fA-F:.]+)\]|([\w.-]+)):(0|[1-9]\d{0,4})$/.exec(text)
  if (match === null) return undefined
  const [, bracketed, bare = '', port] = match
  if (bracketed !== undefined) return isIP(bracketed) === 6 ? ipEndpoint(bracketed, Number(port)) : undefined
  return isIP(bare) === 4 ? ipEndpoint(bare, Number(port)) : nameEndpoint('dns', bare, Number(port))
}

function fromMultiaddr(text: string): Endpoint | undefined {
  // by way of the bytes, which gives a peer ID in base58 whatever its form was, and throws when it has none
  const [host, tcp, p2p, ...rest] = multiaddr(multiaddr(text).bytes).getComponents()
  if (host?.value === undefined || tcp?.name !== 'tcp' || rest.length > 0) return undefined
  if (p2p !== undefined && (p2p.name !== 'p2p' || p2p.value === undefined)) return undefined

  const endpoint = hostEndpoint(host.name, host.value, Number(tcp.value))
  if (endpoint !== undefined && p2p?.value !== undefined) endpoint.peerId = p2p.value
  return endpoint
}

function hostEndpoint(protocol: string, host: string, port: number): Endpoint | undefined {
  switch (protocol) {
    case 'ip4':
    case 'ip6':
      return ipEndpoint(host, port)
    case 'dns':
    case 'dns4':
    case 'dns6':
      return nameEndpoint(protocol, host, port)
    default:
      return undefined
  }
}

function ipEndpoint(ip: string, port: number): Endpoint | undefined {
  const host = normalizeIp(ip)
  if (host === undefined) return undefined
  return { kind: host.includes(':') ? 'ip6' : 'ip4', host, port }
}

function nameEndpoint(kind: 'dns' | 'dns4' | 'dns6', name: string, port: number): Endpoint | undefined {
  const host = name.toLowerCase()
  return isHostName(host) ? { kind, host, port } : undefined
}

/** RFC 1123, section 2.1, and the underscore, which container networks use. */
function isHostName(host: string): boolean {
  const labels = host.split('.')
  return (
    host.length <= 253 &&
    labels.every(label => /^[a-z\d_](?:[a-z\d_-]{0,61}[a-z\d_])?$/.test(label)) &&
    !/^(?:\d+|0x[\da-f]*)$/.test(labels.at(-1) ?? '')
  )
}

function invalid(text: unknown, purpose: Purpose, why: string, cause?: unknown): P2pError {
  return new P2pError(
    'ERR_INVALID_ADDRESS',
    `Invalid ${purpose.name} ${shownAddress(text)}: ${why}; wanted ${purpose.forms}`,
    cause === undefined ? undefined : { cause }
  )
}

/** A private key given in an address's place, in hex or PEM, is not repeated in the error. */
function shownAddress(text: unknown): string {
  const looksLikeKey =
    typeof text === 'string' && text.length > 60 && !text.startsWith('/') && !/[.:]/.test(text)
  return looksLikeKey ? `(a text of ${text.length} characters)` : shown(text)
}
