import { closeSync, constants, fstatSync, openSync } from 'node:fs'
import { resolve } from 'node:path'

/** A file that can be sent. */
export interface SourceFile {
  path: string
  bytes: number
}

/** Looks at a file before anything is started. @throws Error when it cannot be read or is no regular file */
export function inspectFile(path: string): SourceFile {
  let fd
  try {
    // Non-blocking, because opening a pipe would otherwise wait for its writer.
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (err) {
    throw new Error(`cannot read '${path}': ${reason(err as NodeJS.ErrnoException)}`, { cause: err })
  }
  try {
    const stats = fstatSync(fd)
    if (stats.isFile()) return { path: resolve(path), bytes: stats.size }
    throw new Error(`cannot send '${path}': it is ${stats.isDirectory() ? 'a directory' : 'no regular file'}`)
  } finally {
    closeSync(fd)
  }
}

function reason({ code, message }: NodeJS.ErrnoException): string {
  if (code === 'ENOENT') return 'there is no such file'
  return code === 'EACCES' ? 'permission denied' : message
}
