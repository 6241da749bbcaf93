import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { addressesInHosts, namesToAsk } from '../../../src/names/files.ts'

const folder = mkdtempSync(join(tmpdir(), 'names-'))
afterAll(() => rmSync(folder, { recursive: true }))

function file(text: string): string {
  const path = join(folder, String(Math.random()))
  writeFileSync(path, text)
  return path
}

describe('the hosts file', () => {
  const path = file(`# a comment
    127.0.0.1\tlocalhost
    ::1 localhost Node-1.Example
    10.0.0.7   node-1.example node-1 # node-9
    ::ffff:10.0.0.7 node-1
    FE80::1%eth0 node-1
    not-an-ip node-1
    node-1
  10.0.0.8 other`)

  it.each([
    ['localhost', ['127.0.0.1', '::1']],
    ['node-1.example', ['::1', '10.0.0.7']],
    ['node-1', ['10.0.0.7', 'fe80::1']],
    ['other', ['10.0.0.8']],
    ['node-9', []],
    ['10.0.0.8', []]
  ])('gives %s all its addresses, in order, each once', (name, addresses) => {
    expect(addressesInHosts(path, name)).toEqual(addresses)
  })

  it('is read anew each time', () => {
    const changing = file('10.0.0.7 node-1\n')
    expect(addressesInHosts(changing, 'node-1')).toEqual(['10.0.0.7'])
    writeFileSync(changing, '10.0.0.8 node-1\r\n')
    expect(addressesInHosts(changing, 'node-1')).toEqual(['10.0.0.8'])
  })

  it('counts as empty when it cannot be read', () => {
    expect(addressesInHosts(join(folder, 'none'), 'localhost')).toEqual([])
    expect(addressesInHosts(folder, 'localhost')).toEqual([])
  })

  it('counts up to its last whole line in the first MiB', () => {
    const filler = '# '.padEnd(63, 'x') + '\n'
    const long = file(
      `10.0.0.7 node-1\n${filler.repeat(16_383)}10.0.0.8 node-1 ${'x'.repeat(100)}\n10.0.0.9 node-1\n`
    )
    expect(addressesInHosts(long, 'node-1')).toEqual(['10.0.0.7'])
  })
})

describe('DNS is asked for a name', () => {
  it.each([
    ['as it stands without a file', '', 'node-1', ['node-1']],
    [
      'in the search domains first',
      'search a.example B.example.',
      'node-1',
      ['node-1.a.example', 'node-1.b.example', 'node-1']
    ],
    [
      'as it stands first when it has dots',
      'search a.example',
      'node.example',
      ['node.example', 'node.example.a.example']
    ],
    [
      'with fewer dots than ndots in the search domains first',
      'search a.b\noptions timeout:1 ndots:5',
      'x.y',
      ['x.y.a.b', 'x.y']
    ],
    [
      'in the domain of the last line that names one',
      'search a.example\ndomain b.example',
      'x',
      ['x.b.example', 'x']
    ],
    ['and not in the root twice', 'search .', 'x', ['x']],
    ['with nothing but a comment said', '; search a.example\n# domain b', 'x', ['x']],
    [
      'in no domain that makes it too long',
      `search ${'a'.repeat(63)}.${'b'.repeat(63)}.${'c'.repeat(63)}.${'d'.repeat(60)}`,
      'xy',
      ['xy']
    ]
  ])('%s', (_, text, host, names) => {
    expect(namesToAsk(file(text), host)).toEqual(names)
  })

  it('in 16 search domains at most', () => {
    const domains = Array.from({ length: 20 }, (_, i) => `d${i}`)
    expect(namesToAsk(file(`search ${domains.join(' ')}`), 'x')).toHaveLength(17)
  })
})
