import { randomBytes } from 'node:crypto'
import { expect, it } from 'vitest'
import { open, sealAck, sealPayload } from '../../../src/cli/envelope.ts'
import { decode, encodeEnd, FILE_HEADER_BYTES, writeChunkHeader } from '../../../src/cli/file-frames.ts'

it('a payload has the wanted size, and its acknowledgement names it by its SHA-256', () => {
  const payload = sealPayload(1, 26_400)
  expect(payload.length).toBe(26_400)
  const opened = open(payload)
  expect(opened).toMatchObject({ kind: 'payload', phase: 1 })
  const ack = sealAck(opened)
  expect(ack.length).toBe(1_024)
  expect(open(ack)).toEqual({ kind: 'ack', phase: 1, digest: opened.digest })
})

it('a payload with one bit changed anywhere in it is noticed', () => {
  const payload = sealPayload(0, 1_000)
  for (const at of [2, 33, 34, 999]) {
    const damaged = Buffer.from(payload)
    damaged[at]! ^= 1
    expect(() => open(damaged)).toThrow('the SHA-256 of a message of 1000 bytes is wrong')
  }
})

it.each([
  ['empty', Buffer.alloc(0)],
  ['cut off', sealPayload(0, 100).subarray(0, 33)],
  ['of another kind', Buffer.concat([Buffer.of(3), sealPayload(0, 100).subarray(1)])],
  ['of a phase that does not exist', Buffer.concat([Buffer.of(1, 3), sealPayload(0, 100).subarray(2)])]
])('a message that is %s is none of the setup', (_, data) => {
  expect(() => open(data)).toThrow('is none of this setup')
})

it('messages of a file transfer come out as they went in', () => {
  const chunk = randomBytes(FILE_HEADER_BYTES + 10)
  const contents = Buffer.from(chunk.subarray(FILE_HEADER_BYTES))
  writeChunkHeader(chunk, 2 ** 40 + 1)
  const decoded = decode(chunk)
  expect(decoded).toEqual({ kind: 'chunk', offset: 2 ** 40 + 1, data: contents })

  const sha256 = randomBytes(32).toString('hex')
  for (const kind of ['end', 'verified'] as const) {
    expect(decode(encodeEnd({ kind, bytes: 0, sha256 }))).toEqual({ kind, bytes: 0, sha256 })
  }
})

it('a message that is not of a file transfer is refused', () => {
  const end = encodeEnd({ kind: 'end', bytes: 1, sha256: '00'.repeat(32) })
  for (const data of [
    Buffer.alloc(0),
    Buffer.of(3, 0, 0, 0, 0, 0, 0),
    Buffer.alloc(6),
    end.subarray(0, -1)
  ]) {
    expect(() => decode(data)).toThrow('is none of a file transfer')
  }
})
