import { createCipheriv, randomBytes } from 'node:crypto'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { markDetachable, detach } from '../../../src/memory/detach.ts'
import { FREES_EARLY, ON_NODE_22 } from '../../support/early-freeing.ts'

/** What is shorter is not freed early. */
const MIN_BYTES = 8 * 1024
const SIZE = 16 * 1024

describe.skipIf(!FREES_EARLY)(`memory that is read once${ON_NODE_22}`, () => {
  it.each([MIN_BYTES, SIZE])('is freed by its last reader: %i bytes', size => {
    const bytes = markDetachable(new Uint8Array(size))
    detach(bytes, 0)
    expect(bytes.length).toBe(0)
    expect(bytes.buffer.byteLength).toBe(0)
    // And once more, as when two pieces of it are read at once.
    detach(bytes, 0)
  })

  it('is freed with what stands before the last piece, if that is of no use', () => {
    const bytes = markDetachable(new Uint8Array(SIZE))
    detach(bytes.subarray(13), 12)
    expect(bytes.length).toBe(SIZE)
    detach(bytes.subarray(12), 12)
    expect(bytes.length).toBe(0)
    const more = markDetachable(new Uint8Array(SIZE))
    detach(more.subarray(SIZE - 1), Infinity)
    expect(more.length).toBe(0)
  })

  it('is freed with its end, though the memory goes on behind it', () => {
    const bytes = markDetachable(new Uint8Array(65_536).subarray(0, 50_000))
    detach(bytes.subarray(0, 49_999), Infinity)
    expect(bytes.length).toBe(50_000)
    detach(bytes.subarray(1_000), Infinity)
    expect(bytes.length).toBe(0)
    expect(bytes.buffer.byteLength).toBe(0)
  })

  it('is kept when Node shares it out among buffers', () => {
    const buffers = Array.from({ length: 8 }, () => Buffer.allocUnsafe((Buffer.poolSize >>> 1) - 1))
    expect(buffers.some(({ buffer, length }) => buffer.byteLength > length)).toBe(true)
    for (const bytes of buffers) detach(markDetachable(bytes.fill(7)), Infinity)
    expect(buffers.every(bytes => bytes.length > 0 && bytes.every(byte => byte === 7))).toBe(true)
  })

  it.each([
    ['that nobody has marked', () => new Uint8Array(SIZE)],
    ['that is short', () => markDetachable(new Uint8Array(MIN_BYTES - 1))],
    ['of which there is as much again', () => markDetachable(new Uint8Array(2 * SIZE).subarray(0, SIZE))],
    [
      'that is the end of more, though most of it',
      () => markDetachable(new Uint8Array(SIZE + 1).subarray(1))
    ],
    ['that is part of more', () => markDetachable(new Uint8Array(2 * SIZE).subarray(SIZE))],
    ['that is shared', () => markDetachable(new Uint8Array(new SharedArrayBuffer(2 * SIZE), SIZE))]
  ])('is kept when it is memory %s', (_, make) => {
    const bytes = make()
    const { length } = bytes
    detach(bytes, Infinity)
    expect(bytes.length).toBe(length)
  })

  it('is kept while its end is not read, or nothing is', () => {
    const bytes = markDetachable(new Uint8Array(SIZE))
    detach(bytes.subarray(0, SIZE - 1), Infinity)
    detach(bytes.subarray(SIZE), Infinity)
    expect(bytes.length).toBe(SIZE)
  })
})

describe('memory of its own has', () => {
  it('what a cipher gives out', () => {
    const cipher = createCipheriv('chacha20-poly1305', randomBytes(32), randomBytes(12), {
      authTagLength: 16
    })
    for (const size of [SIZE, 65_519]) {
      const sealed = cipher.update(new Uint8Array(size))
      expect([sealed.byteOffset, sealed.buffer.byteLength]).toEqual([0, size])
    }
  })

  it('what a socket brings, though it may be longer', async () => {
    const server = createServer()
    onTestFinished(() => void server.close())
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    const accepted = new Promise<Socket>(resolve => server.once('connection', resolve))
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
    onTestFinished(() => void socket.destroy())
    const remote = await accepted
    onTestFinished(() => void remote.destroy())
    const pieces: Buffer[] = []
    socket.on('data', piece => pieces.push(piece))
    let written = 0
    // Each is read before the next is written: what one read brings has these sizes and, of the last, whatever it likes.
    for (const size of [SIZE, 49_151, 49_152, 65_535, 65_536, 1024 * 1024]) {
      written += size
      remote.write(Buffer.alloc(size))
      while (socket.bytesRead < written) await turn()
    }
    for (const { buffer, byteOffset, length } of pieces) {
      expect(byteOffset).toBe(0)
      expect(length).toBeGreaterThan(buffer.byteLength / 2)
    }
    expect(new Set(pieces.map(({ buffer }) => buffer)).size).toBe(pieces.length)
    expect(pieces.reduce((sum, { length }) => sum + length, 0)).toBe(written)
  })
})

async function turn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}
