export { createGater } from './gater.ts'
export type { Denial, DenialReason } from './gater.ts'
