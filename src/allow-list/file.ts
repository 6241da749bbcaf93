import { randomBytes } from 'node:crypto'
import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  fsyncSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync
} from 'node:fs'
import { messageOf, P2pError, shown } from '../errors.ts'
import type { AllowListContent } from './entry.ts'
import { formatAllowList } from './format.ts'
import { MAX_TEXT_BYTES } from './limits.ts'
import { parseAllowList } from './parse.ts'

/** Owner only: the list tells who works with whom. */
const NEW_FILE_MODE = 0o600

/**
 * Reads an allow list file in UTF-8, of at most 16 MiB (see `parseAllowList` for its format).
 *
 * @throws {P2pError} as `parseAllowList`, and ERR_INVALID_OPTION when the file cannot be read; the message
 * names the file, and the line where there is one
 */
export function readAllowListFile(path: string): AllowListContent {
  return inFile(path, () => {
    // non-blocking, because opening a pipe would otherwise wait for its writer
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
    try {
      const stats = fstatSync(fd)
      if (!stats.isFile()) throw new Error('not a regular file')
      if (stats.size > MAX_TEXT_BYTES) throw new Error(`${stats.size} bytes, at most ${MAX_TEXT_BYTES}`)
      return parseAllowList(new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(fd)))
    } finally {
      closeSync(fd)
    }
  })
}

/**
 * Writes an allow list file. A reader finds the old file or the new one, never a part of it, also after a
 * crash: the text goes to a temporary file in the same directory, which takes the place of the old one when
 * it is on the disk. A new file is for its owner only (mode 0600); an existing one keeps its mode, and a
 * symbolic link to it stays.
 *
 * @throws {P2pError} as `formatAllowList`, and ERR_INVALID_OPTION when the file cannot be written; the
 * message names the file, which is then as it was
 */
export function writeAllowListFile(path: string, list: AllowListContent): void {
  inFile(path, () => {
    const text = formatAllowList(list)
    const existing = statSync(path, { throwIfNoEntry: false })
    if (existing !== undefined && !existing.isFile()) throw new Error('not a regular file')
    const target = existing === undefined ? path : realpathSync(path)
    const mode = existing === undefined ? NEW_FILE_MODE : existing.mode & 0o777

    const temporary = `${target}.${randomBytes(8).toString('hex')}.tmp`
    const fd = openSync(temporary, 'wx', NEW_FILE_MODE)
    try {
      try {
        writeFileSync(fd, text)
        fchmodSync(fd, mode)
        fsyncSync(fd)
      } finally {
        closeSync(fd)
      }
      renameSync(temporary, target)
    } catch (err) {
      rmSync(temporary, { force: true })
      throw err
    }
  })
}

/** What `work` returns; an error gets the name of the file. */
function inFile<T>(path: string, work: () => T): T {
  if (typeof path !== 'string') {
    throw new P2pError('ERR_INVALID_OPTION', `allow list file ${shown(path)}: wanted its path, a string`)
  }
  try {
    return work()
  } catch (err) {
    const code = err instanceof P2pError ? err.code : 'ERR_INVALID_OPTION'
    throw new P2pError(code, `allow list file '${path}': ${messageOf(err)}`, { cause: err })
  }
}
