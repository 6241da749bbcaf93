import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execFileSync } from 'node:child_process'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { readAllowListFile, writeAllowListFile } from '../../../src/allow-list/index.ts'
import { ALICE, BOB, thrown } from './names.ts'

// the real file system, in which single calls can be made to fail
vi.mock('node:fs', async original => {
  const real = await original<typeof fs>()
  return {
    ...real,
    renameSync: vi.fn<typeof fs.renameSync>(real.renameSync),
    fsyncSync: vi.fn<typeof fs.fsyncSync>(real.fsyncSync)
  }
})

let directory: string
let path: string

beforeEach(() => {
  directory = fs.mkdtempSync(join(tmpdir(), 'allow-list-'))
  path = join(directory, 'allow.yaml')
})
afterEach(() => {
  vi.clearAllMocks()
  fs.rmSync(directory, { recursive: true })
})

const mode = (file: string): number => fs.statSync(file).mode & 0o777

describe('writeAllowListFile', () => {
  it('writes what readAllowListFile reads', () => {
    for (const list of [
      [{ peerId: ALICE, ips: ['10.0.0.7', '::1'] }, { peerId: BOB }],
      [],
      'allow-all' as const
    ]) {
      writeAllowListFile(path, list)
      expect(readAllowListFile(path)).toEqual(list)
    }
    expect(fs.readdirSync(directory)).toEqual(['allow.yaml'])
  })

  it('makes a new file for its owner only, and keeps the mode of an old one', () => {
    const umask = process.umask(0)
    try {
      writeAllowListFile(path, [])
      expect(mode(path)).toBe(0o600)
      fs.chmodSync(path, 0o664)
      process.umask(0o077)
      writeAllowListFile(path, 'allow-all')
      expect(mode(path)).toBe(0o664)
    } finally {
      process.umask(umask)
    }
  })

  it('writes to the file behind a symbolic link', () => {
    const link = join(directory, 'link.yaml')
    writeAllowListFile(path, [])
    fs.symlinkSync('allow.yaml', link)
    writeAllowListFile(link, 'allow-all')
    expect(fs.readlinkSync(link)).toBe('allow.yaml')
    expect(readAllowListFile(path)).toBe('allow-all')
  })

  it('puts the text on the disk before it takes the old file’s place', () => {
    writeAllowListFile(path, 'allow-all')
    const [synced] = vi.mocked(fs.fsyncSync).mock.invocationCallOrder
    const [renamed] = vi.mocked(fs.renameSync).mock.invocationCallOrder
    expect(synced).toBeLessThan(renamed ?? 0)
  })

  it.each(['renameSync', 'fsyncSync'] as const)(
    'leaves the old file alone, and nothing else, when %s fails',
    call => {
      writeAllowListFile(path, 'allow-all')
      vi.mocked(fs[call]).mockImplementationOnce(() => {
        throw new Error('ENOSPC: no space left on device')
      })
      const err = thrown(() => writeAllowListFile(path, [{ peerId: ALICE }]))
      expect(err.code).toBe('ERR_INVALID_OPTION')
      expect(err.message).toBe(`allow list file '${path}': ENOSPC: no space left on device`)
      expect(fs.readdirSync(directory)).toEqual(['allow.yaml'])
      expect(readAllowListFile(path)).toBe('allow-all')
    }
  )

  it('touches nothing when the list is wrong', () => {
    writeAllowListFile(path, 'allow-all')
    expect(thrown(() => writeAllowListFile(path, [{ peerId: 'x' }])).code).toBe('ERR_INVALID_PEER_ID')
    expect(readAllowListFile(path)).toBe('allow-all')
  })

  it('refuses a directory, and a path in none', () => {
    expect(thrown(() => writeAllowListFile(directory, [])).message).toContain('not a regular file')
    const lost = join(directory, 'none', 'allow.yaml')
    expect(thrown(() => writeAllowListFile(lost, [])).message).toContain('ENOENT')
    expect(fs.readdirSync(directory)).toEqual([])
  })
})

describe('readAllowListFile', () => {
  it('names the file, the line and the reason', () => {
    fs.writeFileSync(path, `# mine\n${ALICE}: 10.0.0.7\n${BOB}: 10.0.0\n`)
    const err = thrown(() => readAllowListFile(path))
    expect(err.code).toBe('ERR_INVALID_ADDRESS')
    expect(err.message).toMatch(`allow list file '${path}': line 3: Invalid IP address '10.0.0'`)
  })

  it('names the file that cannot be read', () => {
    const err = thrown(() => readAllowListFile(path))
    expect(err.code).toBe('ERR_INVALID_OPTION')
    expect(err.message).toContain(`'${path}': ENOENT`)
    expect(thrown(() => readAllowListFile(directory)).message).toContain('not a regular file')
    expect(thrown(() => readAllowListFile(undefined as never)).code).toBe('ERR_INVALID_OPTION')
  })

  it('refuses a file above 16 MiB without reading it', () => {
    fs.writeFileSync(path, '')
    fs.truncateSync(path, 1024 ** 4)
    expect(thrown(() => readAllowListFile(path)).message).toContain(`${1024 ** 4} bytes, at most 16777216`)
  })

  it('refuses a pipe without waiting for its writer', () => {
    execFileSync('mkfifo', [path])
    expect(thrown(() => readAllowListFile(path)).message).toContain('not a regular file')
  })

  it('refuses bytes that are not UTF-8', () => {
    fs.writeFileSync(path, Buffer.from([0x23, 0xff, 0xfe]))
    expect(thrown(() => readAllowListFile(path)).code).toBe('ERR_INVALID_OPTION')
  })
})
