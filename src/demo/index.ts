/**
 * The library at work between processes of one machine: a BitVMX program setup, or a file that is sent. To be read as an
 * example: event-loop.ts drives a node, operator.ts and verifier.ts are two sides of one protocol, file-transfer.ts
 * sends more than memory holds; the rest starts processes (process-group.ts, participant.ts) and shows what they do.
 */
import { runFile } from './file.ts'
import { ProcessGroup } from './process-group.ts'
import { Screen } from './screen.ts'
import { runSetup } from './setup.ts'
import type { SourceFile } from './source-file.ts'

export { Interrupted } from './process-group.ts'
export { inspectFile } from './source-file.ts'
export type { SourceFile } from './source-file.ts'

/** Runs a demo to its end. @throws Error the first thing that went wrong; Interrupted when a signal ended it */
export async function runDemo(demo: { verifiers: number } | { file: SourceFile }): Promise<void> {
  const screen = new Screen()
  const group = new ProcessGroup()
  try {
    if ('file' in demo) await runFile(group, screen, demo.file)
    else await runSetup(group, screen, demo.verifiers)
  } finally {
    screen.close()
    await group.close()
  }
}
