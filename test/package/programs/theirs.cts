/** What a CommonJS library hands out. */
import type { P2p, P2pError } from 'bitvmx-p2p'

export interface Theirs {
  p2p: P2p
  error: P2pError
}
