/**
 * The version of the package. Both threads know it, because the runtime thread's file can be a copy that was left behind
 * by an earlier version, and the two share memory.
 */
export const VERSION = '0.1.0'
