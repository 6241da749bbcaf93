import { lookup } from 'node:dns/promises'
import type { Stream } from '@libp2p/interface'
import { parseDialAddress, toMultiaddr } from '../addresses/index.ts'
import { messageOf, P2pError } from '../errors.ts'
import type { P2pErrorCode } from '../errors.ts'
import { PROTOCOL_ID } from '../framing/index.ts'
import type { Denial } from '../gater/index.ts'
import type { Link, Node } from '../node/index.ts'
import type { DialFailure } from '../outcomes.ts'

export interface DialTarget {
  peerId: string
  /** Multiaddr text of an IP or a name. */
  address: string
  /** A connection to the peer's admission, in milliseconds. */
  timeoutMs: number
  /** Ends the dial early. */
  signal: AbortSignal
}

/** Why a dial came to nothing, for programs and for people. */
export class DialError extends P2pError {
  readonly why: DialFailure

  constructor(why: DialFailure, message: string, code: P2pErrorCode = 'ERR_DIAL_FAILED', cause?: unknown) {
    super(code, message, { cause })
    this.why = why
  }
}

/** A dial that the peer admitted. */
export interface Dialled {
  link: Link
  /** The stream that proved it, ready for messages. */
  stream: Stream
}

/**
 * Connects to a peer and waits until it has admitted us. A connection alone proves nothing: a remote that turns us
 * away closes it only after our side is complete; agreeing to the protocol on a first stream is what shows admission.
 *
 * @param denialOf why our own gater denied a connection during this dial, if it did
 * @throws DialError ERR_DIAL_FAILED, ERR_PEER_MISMATCH or ERR_NOT_ALLOWED, telling apart in words what happened
 */
export async function dialPeer(
  node: Node,
  target: DialTarget,
  denialOf: () => Denial | undefined
): Promise<Dialled> {
  const { peerId, address, timeoutMs } = target
  const timeout = AbortSignal.timeout(timeoutMs)
  const signal = AbortSignal.any([target.signal, timeout])
  let link: Link | undefined
  try {
    link = await node.dial(await resolveHost(address, signal), peerId, signal)
    const stream = await link.openStream(signal)
    return { link, stream }
  } catch (err) {
    const denial = denialOf()
    const late = timeout.aborted && denial === undefined
    const told = late ? timedOut(target, link) : explain(err, target, link, denial)
    // Whoever ended the dial may have closed the connection already, in an orderly way.
    if (link?.open === true) link.abort({ code: 'lost', reason: told.message })
    throw told
  }
}

/** The address with a name replaced by the IP it has now: the gater and the pins of the allow list judge IPs. */
async function resolveHost(address: string, signal: AbortSignal): Promise<string> {
  const endpoint = parseDialAddress(address)
  const { kind, host, port } = endpoint
  if (kind === 'ip4' || kind === 'ip6') return toMultiaddr({ kind, host, port })
  const family = kind === 'dns4' ? 4 : kind === 'dns6' ? 6 : 0
  const found = await unlessAborted(lookup(host, { family }), signal)
  return toMultiaddr({ kind: found.family === 6 ? 'ip6' : 'ip4', host: found.address, port })
}

/** A look-up cannot be ended, and may take longer than anybody wants to wait: it is left to itself. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error)
    signal.addEventListener('abort', abort, { once: true })
    void work.then(resolve, reject).then(() => signal.removeEventListener('abort', abort))
  })
}

function timedOut({ address, timeoutMs }: DialTarget, link: Link | undefined): DialError {
  const missing = link === undefined ? 'no connection' : 'connected, but not admitted'
  return new DialError('timed-out', `dial to ${address} timed out: ${missing} in ${timeoutMs} ms`)
}

function explain(
  err: unknown,
  target: DialTarget,
  link: Link | undefined,
  denial: Denial | undefined
): DialError {
  const { peerId, address } = target
  const failed = (why: DialFailure, what: string): DialError =>
    new DialError(why, `dial to ${address} failed: ${what}`, 'ERR_DIAL_FAILED', err)

  if (
    denial?.reason === 'peer-mismatch' ||
    messageOf(err).includes('does not match expected remote identity key')
  ) {
    const actual = denial?.peerId === undefined ? 'another peer' : denial.peerId
    return new DialError('mismatch', `${address} is ${actual}, wanted ${peerId}`, 'ERR_PEER_MISMATCH', err)
  }
  if (denial !== undefined) {
    const message = `dial to ${address} denied here: ${denialText(denial)}`
    return new DialError('denied', message, 'ERR_NOT_ALLOWED', err)
  }
  if (link !== undefined) {
    return isUnsupported(err)
      ? failed('mismatch', `the node there does not speak ${PROTOCOL_ID}`)
      : failed('denied', 'denied by the remote: it closed the connection without admitting this node')
  }

  const code = errorCode(err)
  switch (code) {
    case 'ECONNREFUSED':
      return failed('refused', 'connection refused: nothing listens there')
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'EADDRNOTAVAIL':
    case 'EHOSTDOWN':
    case 'EINVAL':
      return failed('unreachable', `unreachable (${code})`)
    case 'ECONNRESET':
      return failed('denied', 'the handshake did not complete: the remote closed the connection')
    case 'ETIMEDOUT':
      return failed('timed-out', 'timed out: no answer')
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return failed('not-resolved', `the name cannot be resolved (${code})`)
    default:
      return failed('mismatch', `the handshake did not complete: ${messageOf(err)}`)
  }
}

function isUnsupported(err: unknown): boolean {
  return err instanceof Error && err.name === 'UnsupportedProtocolError'
}

/** A denial in words. */
export function denialText({ reason, peerId, ip }: Denial): string {
  switch (reason) {
    case 'unknown-peer':
      return `${peerId} is not on the allow list`
    case 'wrong-address':
      return `${peerId} is on the allow list, but not at ${ip ?? 'an unknown address'}`
    case 'barred':
      return `${peerId ?? ip} is barred: its token bucket is empty`
    case 'peer-mismatch':
      return `the node at ${ip ?? 'the address'} is ${peerId}`
  }
}

function errorCode(err: unknown): string | undefined {
  const errors: unknown[] = err instanceof AggregateError ? err.errors : [err]
  for (const one of errors) {
    if (typeof one === 'object' && one !== null && 'code' in one && typeof one.code === 'string')
      return one.code
  }
  return undefined
}
