import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import {
  figuresOf,
  formsOf,
  limitsDocument,
  limitsIn,
  limitsOfRooms,
  shown,
  wrongDefaults,
  wrongFigures
} from '../../../build/limits.ts'

const ROOM = `
/** Streams at once;
 * one more ends the connection. */
export const MAX_STREAMS = 256
/** Bytes of a window. */
export const WINDOW_BYTES: number = 4 * 1024 * 1024
/** Twice as much. */
export const BACKLOG_BYTES: number = 2 * WINDOW_BYTES
/** Time of a handshake, in milliseconds. */
export const WAIT_MS = 2_500
/** Pings: at once, and per second. */
export const PING_ALLOWANCE = { capacity: 1_024, refillPerSecond: 0.5 }
const inside = 3
`

const limits = limitsIn(ROOM, 'room')
const figures = figuresOf(limits)

test('reads what a room exports, with what it says of it', () => {
  expect(limits).toEqual([
    {
      room: 'room',
      name: 'MAX_STREAMS',
      value: 256,
      about: 'Streams at once; one more ends the connection.'
    },
    { room: 'room', name: 'WINDOW_BYTES', value: 4_194_304, about: 'Bytes of a window.' },
    { room: 'room', name: 'BACKLOG_BYTES', value: 8_388_608, about: 'Twice as much.' },
    { room: 'room', name: 'WAIT_MS', value: 2_500, about: 'Time of a handshake, in milliseconds.' },
    {
      room: 'room',
      name: 'PING_ALLOWANCE',
      value: { capacity: 1_024, refillPerSecond: 0.5 },
      about: 'Pings: at once, and per second.'
    }
  ])
})

test('a limit that says nothing, or is made elsewhere, is refused', () => {
  expect(() => limitsIn('export const MAX = 1', 'room')).toThrow('room: MAX does not say what it bounds')
  expect(() => limitsIn('/** Bytes. */\nexport const MAX = other()', 'room')).toThrow('room: MAX has a value')
  expect(() => limitsIn('/** Bytes. */\nexport const MAX = UNKNOWN * 2', 'room')).toThrow(
    'room: MAX has a value'
  )
})

test.each([
  ['MAX_STREAMS', 65_536, '65,536'],
  ['WINDOW_BYTES', 65_536, '64 KiB'],
  ['WINDOW_BYTES', 1_000, '1,000 bytes'],
  ['WAIT_MS', 30_000, '30 s'],
  ['withinMs', 60_000, '1 min'],
  ['WAIT_MS', 250, '250 ms'],
  ['refillPerSecond', 0.1, '0.1']
])('%s of %d is shown as %s', (name, figure, text) => {
  expect(shown(name, figure)).toBe(text)
  expect(formsOf(name, figure)).toContain(text)
})

test('a figure of a document must be its limit’s, in whatever unit', () => {
  const text = [
    '256<!-- limit:MAX_STREAMS --> and 8 MiB<!-- limit:BACKLOG_BYTES -->',
    '2,500 ms<!-- limit:WAIT_MS -->, 0.5<!-- limit:PING_ALLOWANCE.refillPerSecond -->',
    '10 s<!-- limit:limits.ackTimeoutMs -->'
  ]
  expect(wrongFigures(text.join('\n'), figures)).toEqual([])
  expect(wrongFigures('255<!-- limit:MAX_STREAMS -->', figures)).toEqual([expect.stringContaining('line 1')])
  expect(wrongFigures('1,256<!-- limit:MAX_STREAMS -->', figures)).toHaveLength(1)
  expect(wrongFigures('256 KiB<!-- limit:MAX_STREAMS -->', figures)).toHaveLength(1)
  expect(wrongFigures('256<!-- limit:MAX_STREAM -->', figures)).toEqual([
    'line 1: nothing that bounds something is called MAX_STREAM'
  ])
})

test('in a table of limits every figure has a name', () => {
  const table = (cell: string): string =>
    `<!-- limits: all -->\n\n| what | bound |\n| --- | --- |\n| of a /64, \`x1\` ([decision 4](d.md)) | ${cell} |\n\n| 7 |`
  expect(wrongFigures(table('256<!-- limit:MAX_STREAMS -->'), figures)).toEqual([])
  expect(wrongFigures(table('256'), figures)).toEqual(['line 5: nothing says which limit 256 is'])
  expect(wrongFigures(table('1,024 bytes'), figures)).toEqual([
    'line 5: nothing says which limit 1,024 bytes is'
  ])
})

test('defaults that documents and doc comments give are those that the options resolve to', () => {
  const comments = readFileSync('src/options.ts', 'utf8')
  expect(wrongDefaults(comments)).toEqual([])
  expect(wrongDefaults(comments.replace('@default 10_000', '@default 9_000'))).toEqual([
    'the default of limits.ackTimeoutMs is 10000, not 9000'
  ])
  const readme = readFileSync('README.md', 'utf8')
  expect(wrongDefaults(readme)).toEqual([])
  expect(wrongDefaults(readme.replace('handshakeTimeoutMs: 5_000,', ''))).toEqual([
    'the default of limits.handshakeTimeoutMs is 5000, not told'
  ])
})

test('names that two rooms use are told apart', () => {
  const both = figuresOf([...limits, ...limitsIn('/** More. */\nexport const MAX_STREAMS = 1', 'other')])
  expect(both.get('room.MAX_STREAMS')).toBe(256)
  expect(both.get('other.MAX_STREAMS')).toBe(1)
  expect(both.has('MAX_STREAMS')).toBe(false)
})

test('the document has every limit of every room', async () => {
  const rooms = limitsOfRooms()
  const document = await limitsDocument(rooms)
  expect(rooms.length).toBeGreaterThan(0)
  for (const { room, name } of rooms)
    expect(document.split(`## \`src/${room}/\``)[1]).toContain(`\`${name}\``)
})
