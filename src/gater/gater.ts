import type { ConnectionGater, MultiaddrConnection, PeerId } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import { ipOfMultiaddr, addressKey } from '../addresses/index.ts'
import type { AllowList } from '../allow-list/index.ts'
import { publicKeyHashOf } from '../identity/index.ts'
import type { Denial, DenialReason } from './denial.ts'

export interface GaterInit {
  allowList: AllowList
  /** Whether a peer ID, or the address key of an IP, has an empty bucket. */
  isBarred: (key: string) => boolean
  /** Told about every denial by an authenticated check, and about barred addresses. */
  denied: (denial: Denial, connection?: MultiaddrConnection) => void
}

/**
 * The connection gater (docs/architecture.md, "Order of checks"): every hook, both directions. All hooks are
 * synchronous and return strict booleans, because libp2p takes any value but `true` for "allow", and a hook that does
 * not settle would hold a connection slot for ever. The hooks are arrow functions, because libp2p calls some unbound.
 */
export function createGater(init: GaterInit): Required<ConnectionGater> {
  const { allowList, isBarred, denied } = init

  /** Why an authenticated peer at an address is denied; undefined: it is not. */
  const denialReason = (peerId: PeerId, ip: string | undefined): DenialReason | undefined => {
    const id = peerId.toString()
    const verdict = allowList.verdict(id, keyHashOf(peerId), ip)
    if (verdict !== 'allowed') return verdict
    return isBarred(id) ? 'barred' : undefined
  }

  const denyAuthenticated = (
    direction: Denial['direction'],
    peerId: PeerId,
    connection: MultiaddrConnection
  ): boolean => {
    const ip = ipOfMultiaddr(connection.remoteAddr.toString())
    const expected = direction === 'outbound' ? expectedPeer(connection.remoteAddr) : undefined
    const mismatch = direction === 'outbound' && expected !== peerId.toString()
    const reason = mismatch ? 'peer-mismatch' : denialReason(peerId, ip)
    if (reason === undefined) return false
    denied(
      {
        reason,
        direction,
        peerId: peerId.toString(),
        ...(expected !== undefined && { expected }),
        ...(ip !== undefined && { ip })
      },
      connection
    )
    return true
  }

  return {
    denyDialPeer: peerId =>
      !allowList.mayKnow(peerId.toString(), keyHashOf(peerId)) || isBarred(peerId.toString()),
    // Only addresses that the application named are dialled, each with a peer ID (see `denyDialPeer`).
    denyDialMultiaddr: multiaddr => expectedPeer(multiaddr) === undefined,
    denyOutboundConnection: (peerId, connection) => {
      const ip = ipOfMultiaddr(connection.remoteAddr.toString())
      const id = peerId.toString()
      if (allowList.foresee(id, keyHashOf(peerId), ip) !== 'wrong-address') return false
      const about = { peerId: id, expected: id, ...(ip !== undefined && { ip }) }
      denied({ reason: 'wrong-address', direction: 'outbound', ...about }, connection)
      return true
    },
    denyInboundConnection: connection => {
      const ip = ipOfMultiaddr(connection.remoteAddr.toString())
      if (ip === undefined || !isBarred(addressKey(ip))) return false
      denied({ reason: 'barred', direction: 'inbound', ip }, connection)
      return true
    },
    denyInboundEncryptedConnection: (peerId, connection) => denyAuthenticated('inbound', peerId, connection),
    denyOutboundEncryptedConnection: (peerId, connection) =>
      denyAuthenticated('outbound', peerId, connection),
    // The list may have changed since the check after encryption.
    denyInboundUpgradedConnection: (peerId, connection) => denyAuthenticated('inbound', peerId, connection),
    denyOutboundUpgradedConnection: (peerId, connection) => denyAuthenticated('outbound', peerId, connection),
    // This node is no relay and keeps no addresses that others tell it.
    denyInboundRelayReservation: () => true,
    denyOutboundRelayedConnection: () => true,
    denyInboundRelayedConnection: () => true,
    filterMultiaddrForPeer: () => false
  }
}

/** Undefined where the peer ID does not contain the key: a digest of it, of a peer that has not proved its identity. */
function keyHashOf({ publicKey }: PeerId): string | undefined {
  return publicKey === undefined ? undefined : publicKeyHashOf(publicKey)
}

function expectedPeer(multiaddr: Multiaddr): string | undefined {
  return multiaddr.getComponents().findLast(component => component.name === 'p2p')?.value
}
