import { createCipheriv, randomBytes } from 'node:crypto'
import { connect, createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { readOnce, release } from '../../src/release.ts'

/** Node 20 frees nothing early. */
const early = 'transfer' in ArrayBuffer.prototype

const SIZE = 16 * 1024

describe('memory that is read once', () => {
  it.skipIf(!early)('is freed by its last reader', () => {
    const bytes = readOnce(new Uint8Array(SIZE))
    release(bytes, 0)
    expect(bytes.length).toBe(0)
    expect(bytes.buffer.byteLength).toBe(0)
    // And once more, as when two pieces of it are read at once.
    release(bytes, 0)
  })

  it.skipIf(!early)('is freed with what stands before the last piece, if that is of no use', () => {
    const bytes = readOnce(new Uint8Array(SIZE))
    release(bytes.subarray(13), 12)
    expect(bytes.length).toBe(SIZE)
    release(bytes.subarray(12), 12)
    expect(bytes.length).toBe(0)
    const more = readOnce(new Uint8Array(SIZE))
    release(more.subarray(SIZE - 1), Infinity)
    expect(more.length).toBe(0)
  })

  it.each([
    ['that nobody has marked', () => new Uint8Array(SIZE)],
    ['that is short', () => readOnce(new Uint8Array(1_000))],
    ['that is part of more', () => readOnce(new Uint8Array(2 * SIZE).subarray(SIZE))],
    ['that is shared', () => readOnce(new Uint8Array(new SharedArrayBuffer(2 * SIZE), SIZE))]
  ])('is kept when it is memory %s', (_, make) => {
    const bytes = make()
    const { length } = bytes
    release(bytes, Infinity)
    expect(bytes.length).toBe(length)
  })

  it('is kept while its end is not read, or nothing is', () => {
    const bytes = readOnce(new Uint8Array(SIZE))
    release(bytes.subarray(0, SIZE - 1), Infinity)
    release(bytes.subarray(SIZE), Infinity)
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

  it('what a socket brings', async () => {
    const total = 1024 * 1024
    const server = createServer(socket => socket.end(Buffer.alloc(total)))
    onTestFinished(() => void server.close())
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
    let bytes = 0
    for await (const piece of socket as AsyncIterable<Buffer>) {
      expect([piece.byteOffset, piece.buffer.byteLength]).toEqual([0, piece.length])
      bytes += piece.length
    }
    expect(bytes).toBe(total)
  })
})
