/** Tokens in a full bucket, unless said otherwise. */
export const DEFAULT_CAPACITY = 10

/** Tokens that come back each second, unless said otherwise: one in ten seconds. */
export const DEFAULT_REFILL_PER_SECOND = 0.1

/** Buckets in one table, unless said otherwise; when all are in use, a newcomer takes over the fullest. */
export const DEFAULT_MAX_BUCKETS = 65_536

/** The most buckets a table can be asked to hold, 2^20 in some 300 MB; a larger `maxBuckets` is refused. */
export const MAX_BUCKETS = 1_048_576

/** Full buckets, which are the same as none, that each newcomer lets go: the table shrinks after a storm. */
export const FORGOTTEN_PER_NEWCOMER = 2
