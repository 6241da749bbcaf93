import { expect, test } from 'vitest'
import { guardNegotiation } from '../../../src/libp2p/negotiation-guard.ts'
import { TestStream } from '../protocol/support.ts'

const OURS = '/ours/1.0.0'

function lines(...texts: string[]): Buffer {
  return Buffer.concat(texts.map(text => Buffer.from(`${String.fromCharCode(text.length + 1)}${text}\n`)))
}

interface Scene {
  stream: TestStream
  named: () => boolean
  refused: number
  failed: string[]
}

function guarded(): Scene {
  const stream = new TestStream()
  const scene: Scene = { stream, named: () => false, refused: 0, failed: [] }
  scene.named = guardNegotiation(
    stream,
    [OURS],
    reason => scene.failed.push(reason),
    () => scene.refused++
  )
  return scene
}

const others = (count: number): string[] => Array.from({ length: count }, (_, i) => `/other/${i}`)

test.each([
  [0, 0],
  [4, 0],
  [5, 1],
  [30, 26]
])('of %i protocols that are named before ours, %i count', (count, refused) => {
  const scene = guarded()
  scene.stream.receive(lines('/multistream/1.0.0', ...others(count), OURS, '/behind/1.0.0'))
  expect(scene).toMatchObject({ refused, failed: [] })
  expect(scene.named()).toBe(true)
})

test('wherever the lines are cut', () => {
  const bytes = lines('/multistream/1.0.0', ...others(10), OURS)
  for (const size of [1, 2, 7, 20]) {
    const scene = guarded()
    for (let at = 0; at < bytes.length; at += size) scene.stream.receive(bytes.subarray(at, at + size))
    expect(scene).toMatchObject({ refused: 6, failed: [] })
  }
})

test('a line has 1,024 bytes at most, its newline included', () => {
  const line = (length: number): Buffer =>
    Buffer.concat([
      Buffer.of((length & 0x7f) | 0x80, length >> 7),
      Buffer.alloc(length - 1, 'x'),
      Buffer.from('\n')
    ])
  const fits = guarded()
  fits.stream.receive(lines('/multistream/1.0.0'), line(1_024), lines(OURS))
  expect(fits.failed).toEqual([])
  expect(fits.named()).toBe(true)
  const long = guarded()
  long.stream.receive(lines('/multistream/1.0.0'), line(1_025))
  expect(long.failed).toEqual(['protocol negotiation: not the length of a line'])
})
