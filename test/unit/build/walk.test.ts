import { expect, test } from 'vitest'
import { missingStops, section, stopsIn } from '../../../build/walk.ts'

const WALK = `## Other\n\n\`a/none.ts\`\n\n## The way\n\n1. \`a/one.ts\` \`send\`, \`#write\` write, with \`a/two.ts\`.\n\n### Back\n\n\`a/two.ts\` \`onData\`\n\n## Next\n\n\`b.ts\``

const SOURCES: Record<string, string> = {
  'a/one.ts': 'export class One { send(): void {} #write(): void {} get length(): number { return 1 } }',
  'a/two.ts':
    'const work = (): void => {}\nstream.onData = data => {}\nnew Inbox({ deliver: () => {} })\nfunction end() {}'
}
const read = (file: string): string | undefined => SOURCES[file]

test('a way is the files and functions of its section, in order', () => {
  expect(stopsIn(section(WALK, '## The way'))).toEqual([
    { file: 'a/one.ts', functions: ['send', '#write'] },
    { file: 'a/two.ts', functions: [] },
    { file: 'a/two.ts', functions: ['onData'] }
  ])
  expect(stopsIn(section(WALK, '### Back'))).toEqual([{ file: 'a/two.ts', functions: ['onData'] }])
  expect(() => section(WALK, '## The end')).toThrow('no section is called ## The end')
})

test('functions are found however they are written', () => {
  const functions = ['work', 'onData', 'deliver', 'end']
  expect(missingStops([{ file: 'a/two.ts', functions }], read)).toEqual([])
  expect(missingStops([{ file: 'a/one.ts', functions: ['send', '#write', 'length'] }], read)).toEqual([])
})

test('what is gone is missed', () => {
  const stops = [
    { file: 'a/three.ts', functions: ['send'] },
    { file: 'a/one.ts', functions: ['sent', 'write'] }
  ]
  expect(missingStops(stops, read)).toEqual([
    'a/three.ts is not there',
    'a/one.ts has no function sent',
    'a/one.ts has no function write'
  ])
})
