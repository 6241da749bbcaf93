/**
 * How often somebody may misbehave: token buckets, one for each subject, in bounded memory.
 *
 * This room decides whether a charge can be paid. It does not know what an offence is, whom to charge for it,
 * or what to do when the answer is no, and it promises nothing about work done before it is asked.
 */

export { Allowance } from './allowance.ts'
export { BucketTable, type BucketTableInit, type SpentBucket } from './bucket-table.ts'
