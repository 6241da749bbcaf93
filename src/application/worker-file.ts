import { P2pError } from '../errors.ts'

/**
 * Where the runtime thread's file lies beside this one, as packed, or beside the sources, as a test runner reads them.
 * Looked for at every start, not when this is imported: a bundle that leaves the file behind can still name another place
 * (docs/bundling.md).
 *
 * @throws P2pError ERR_RUNTIME_FAILED in a bundle that does not know where it lies
 */
export function packedWorker(): URL {
  const here = (import.meta as { url?: string }).url
  if (here === undefined) {
    throw new P2pError(
      'ERR_RUNTIME_FAILED',
      `the runtime thread cannot start: this bundle does not know where it lies. ${REMEDY}`
    )
  }
  if (here.endsWith('.ts')) return new URL('../../dist/worker/worker.mjs', here)
  // In these words webpack finds the file and takes it along.
  return new URL('../worker/worker.mjs', import.meta.url)
}

/** What to do when the file is not where it is looked for. */
export const REMEDY: string =
  "Bundled programs give its place in options.workerUrl: it is 'bitvmx-p2p/worker', a copy of which does " +
  '(docs/bundling.md)'
