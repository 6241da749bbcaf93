/** Why somebody was turned away. */
export type DenialReason =
  /** not on the allow list */
  | 'unknown-peer'
  /** on the allow list, but not from this address */
  | 'wrong-address'
  /** an empty token bucket, of the peer or of the address */
  | 'barred'
  /** the node behind the dialled address is somebody else */
  | 'peer-mismatch'

export interface Denial {
  reason: DenialReason
  direction: 'inbound' | 'outbound'
  /** Who is there, once that is proved. */
  peerId?: string
  /** Outbound: who should be there. */
  expected?: string
  /** Normalised; undefined where the address is not known. */
  ip?: string
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
