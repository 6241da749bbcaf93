/** How this runtime ends connections: the code for programs, the reason for people. */
import type { LinkEnd } from '../libp2p/index.ts'

export const DISCONNECTED: LinkEnd = { code: 'parted', reason: 'disconnected by this application' }
export const REMOVED: LinkEnd = { code: 'removed', reason: 'no longer allowed by the allow list' }
export const SILENT: LinkEnd = { code: 'silent', reason: 'it gave no sign of life when it was asked for one' }
export const REPLACED: LinkEnd = {
  code: 'replaced',
  reason: 'replaced by a newer connection of the same peer'
}
export const SUPERFLUOUS: LinkEnd = {
  code: 'replaced',
  reason: 'superseded by another connection to the same peer'
}
export const STOPPED: LinkEnd = { code: 'stopped', reason: 'this node was stopped' }

/** Its token bucket is empty. */
export function barred(reason: string): LinkEnd {
  return { code: 'barred', reason }
}

/** A dial came to nothing, or nobody waits for it any more. */
export function lost(reason: string): LinkEnd {
  return { code: 'lost', reason }
}

/** It refuses message streams, and its connection lives on. */
export function takesNoMessages(reason: string): LinkEnd {
  return { code: 'protocol', reason: `the peer does not take messages: ${reason}` }
}
