export { Inbox } from './inbox.ts'
export type { InboxLimits } from './inbox.ts'
export { Outbox } from './outbox.ts'
export type { Outcome, OutboxLimits } from './outbox.ts'
