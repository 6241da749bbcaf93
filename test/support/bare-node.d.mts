import type { PrivateKey, StreamMuxerFactory } from '@libp2p/interface'
import type { Libp2p } from 'libp2p'

export interface BareNodeInit {
  privateKey?: PrivateKey
  listen?: string[]
  muxer?: () => StreamMuxerFactory
}
export function createBareNode(init?: BareNodeInit): Promise<Libp2p>
