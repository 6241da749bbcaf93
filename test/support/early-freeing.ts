/**
 * Memory is freed before the garbage collector would where Node can do that (src/memory/detach.ts): from Node 22 on. On
 * Node 20 a test of it could not fail, so it is skipped there, and says so:
 *
 *     describe.skipIf(!FREES_EARLY)(`memory of what was read${ON_NODE_22}`, () => { … })
 */
export const FREES_EARLY: boolean = 'transfer' in ArrayBuffer.prototype

/** The end of such a test's name. */
export const ON_NODE_22 = ' (from Node 22 on; skipped on Node 20, which frees nothing early)'
