import { expect, it } from 'vitest'
import { open, sealAck, sealPayload } from '../../../src/demo/envelope.ts'

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
