export { createNode, MAX_INBOUND_STREAMS } from './node.ts'
export type { Node } from './node.ts'
export type { Link } from './link.ts'
export type { StreamUse } from './muxer-guard.ts'
