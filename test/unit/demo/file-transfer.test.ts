import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import type { EventLoop } from '../../../src/demo/event-loop.ts'
import { receiveFile, sendFile } from '../../../src/demo/file-transfer.ts'
import { FILE_MESSAGE_BYTES, FILE_WINDOW_MESSAGES } from '../../../src/demo/limits.ts'

const directory = mkdtempSync(join(tmpdir(), 'file-transfer-test-'))
afterAll(() => rmSync(directory, { recursive: true }))

/** An event loop whose peer says this, in order; what was sent to it, copied as the library does. */
function scripted(answers: Iterable<Uint8Array>): { loop: EventLoop; sent: Buffer[] } {
  const sent: Buffer[] = []
  const next = answers[Symbol.iterator]()
  const loop = {
    message: () => next.next().value ?? expect.unreachable('the other side has no more to say'),
    send: (_: string, data: Uint8Array) => sent.push(Buffer.from(data)),
    settle: () => {},
    tally: {}
  }
  return { loop: loop as unknown as EventLoop, sent }
}

function size(bytes: number): Buffer {
  return Buffer.from(bytes.toString(16).padStart(12, '0'), 'hex')
}

function sha256(data: Uint8Array): Buffer {
  return createHash('sha256').update(data).digest()
}

/** The contents of a file, and the path to it. */
function file(bytes: number): { path: string; contents: Buffer } {
  const contents = randomBytes(bytes)
  const path = join(directory, `${bytes}`)
  writeFileSync(path, contents)
  return { path, contents }
}

it.each([0, 1, FILE_MESSAGE_BYTES, FILE_MESSAGE_BYTES + 1])(
  'a file of %i bytes goes in messages, and what was received is what was sent',
  bytes => {
    const { path, contents } = file(bytes)
    const parts = Math.ceil(bytes / FILE_MESSAGE_BYTES)
    const answers = [...Array.from({ length: parts }, () => size(1)), sha256(contents)]
    const { loop, sent } = scripted(answers)
    expect(sendFile(loop, 'receiver', path, bytes)).toMatchObject({ waits: 0 })
    expect(sent.map(({ length }) => length).slice(1, -1)).toEqual(
      Array.from({ length: parts }, (_, i) => Math.min(FILE_MESSAGE_BYTES, bytes - i * FILE_MESSAGE_BYTES))
    )

    const receiver = scripted(sent)
    let told = 0
    const arrival = receiveFile(receiver.loop, 'sender', now => (told = now))
    expect(arrival).toMatchObject({ bytes, sha256: sha256(contents).toString('hex') })
    expect(told).toBe(bytes)
    expect(receiver.sent.at(-1)).toEqual(sha256(contents))
  }
)

it('no more is under way than the window, whatever the size of the file', () => {
  const parts = FILE_WINDOW_MESSAGES + 3
  const { path, contents } = file(parts * FILE_MESSAGE_BYTES)
  const unanswered: number[] = []
  function* answers(): Generator<Uint8Array> {
    for (let answered = 0; answered < parts; answered++) {
      // Without the message with the size; when all parts are sent, the SHA-256 is, too.
      unanswered.push(Math.min(sent.length - 1, parts) - answered)
      yield size(1)
    }
    yield sha256(contents)
  }
  const { loop, sent } = scripted(answers())
  expect(sendFile(loop, 'receiver', path, contents.length).waits).toBe(3)
  expect(Math.max(...unanswered)).toBe(FILE_WINDOW_MESSAGES)
})

it('a file that has become shorter is an error that names it', () => {
  const { path } = file(10)
  const { loop } = scripted([])
  expect(() => sendFile(loop, 'receiver', path, 11)).toThrow(`${path} has become shorter`)
})

it('the sender notices when the receiver has got something else', () => {
  const { path } = file(10)
  const { loop } = scripted([size(10), randomBytes(32)])
  expect(() => sendFile(loop, 'receiver', path, 10)).toThrow('something else')
})

it.each([
  ['another SHA-256', [size(3), Buffer.from('abc'), sha256(Buffer.from('abd'))], /^SHA-256 .* was sent$/],
  ['more bytes than were announced', [size(2), Buffer.from('abc')], '3 bytes arrived, wanted 2'],
  ['no size at first', [Buffer.from('abc')], 'a message of 3 bytes is no size']
])('the receiver notices %s', (_, messages, message) => {
  expect(() => receiveFile(scripted(messages).loop, 'sender', () => {})).toThrow(message)
})
