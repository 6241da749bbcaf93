export { denialText } from './denial.ts'
export type { Denial, DenialReason } from './denial.ts'
export { createGater } from './gater.ts'
