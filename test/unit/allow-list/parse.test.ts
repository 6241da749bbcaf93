import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { AllowList, parseAllowList, type AllowListContent } from '../../../src/allow-list/index.ts'
import { P2pError } from '../../../src/errors.ts'
import { ALICE, BOB, HASH, RSA, RSA_CID, thrown } from './names.ts'

const seed = 0x79616d6c
const hash = (index: number): string => index.toString(16).padStart(64, '0')
const alice = (...ips: string[]): AllowListContent => [{ peerId: ALICE, ips }]

/** The same list by way of the yaml package's own parser. */
function byYaml(text: string): AllowListContent {
  const read: unknown = parse(text, { mapAsMap: true, logLevel: 'error' })
  if (read === 'allow_all') return 'allow-all'
  if (read === null) return []
  if (!(read instanceof Map)) throw new Error('not a mapping')
  const entries = Array.from(read as Map<string, unknown>, ([peerId, value]) =>
    value === null ? { peerId } : { peerId, ips: (Array.isArray(value) ? value : [value]) as string[] }
  )
  return new AllowList(entries).entries()
}

/** What parseAllowList makes of a text; every refusal names a line. */
function outcome(text: string): AllowListContent | 'refused' {
  try {
    return parseAllowList(text)
  } catch (err) {
    if (err instanceof P2pError && /^line \d+: /.test(err.message)) return 'refused'
    throw err
  }
}

describe('parseAllowList reads', () => {
  const cases: Array<[string, string, AllowListContent]> = [
    ['an empty text', '', []],
    ['white space and comments', ' \n\n# nobody\n   # yet\n\t\n', []],
    ['a document without content', '---\n# nobody\n', []],
    ['the word allow_all', 'allow_all', 'allow-all'],
    ['the word among comments', '# open\n\n  allow_all   # for now\n\n', 'allow-all'],
    ['one address', `${ALICE}: 10.0.0.7`, alice('10.0.0.7')],
    ['one range', `${ALICE}: 10.0.0.0/24\n`, alice('10.0.0.0/24')],
    ['IPv6, bare', `${ALICE}: 2001:db8::1\n`, alice('2001:db8::1')],
    ['IPv6, quoted', `${ALICE}: "2001:DB8::"\n`, alice('2001:db8::')],
    ['any address', `${ALICE}: ~\n${BOB}: null # any\n`, [{ peerId: ALICE }, { peerId: BOB }]],
    ['a key hash', `${HASH.toUpperCase()}: ~`, [{ peerId: HASH }]],
    ['a key hash of digits', `${'1'.repeat(64)}: ~`, [{ peerId: '1'.repeat(64) }]],
    [
      'quoted names',
      `'${HASH}': 10.0.0.7\n"${ALICE}": ~`,
      [{ peerId: HASH, ips: ['10.0.0.7'] }, { peerId: ALICE }]
    ],
    ['another form of a peer ID', `${RSA_CID}: ~`, [{ peerId: RSA }]],
    ['a block list', `${ALICE}:\n  - 10.0.0.7\n  - ::1\n`, alice('10.0.0.7', '::1')],
    ['a block list that is not indented', `${ALICE}:\n- 10.0.0.7\n- '::1'\n`, alice('10.0.0.7', '::1')],
    ['a flow list', `${ALICE}: [10.0.0.7, "::1", 10.0.0.0/8]\n`, alice('10.0.0.7', '::1', '10.0.0.0/8')],
    [
      'a flow list of many lines',
      `${ALICE}: [ # both\n  10.0.0.7,\n\n  '::1', # last\n]\n`,
      alice('10.0.0.7', '::1')
    ],
    ['an address in the next line', `${ALICE}:\n  10.0.0.7\n`, alice('10.0.0.7')],
    ['repeated addresses once', `${ALICE}: [10.0.0.7, 10.0.0.7/32]\n`, alice('10.0.0.7')],
    [
      'Windows line ends',
      `# x\r\n${ALICE}: 10.0.0.7\r\n\r\n${BOB}:\r\n  - ::1\r\n`,
      [
        { peerId: ALICE, ips: ['10.0.0.7'] },
        { peerId: BOB, ips: ['::1'] }
      ]
    ],
    ['a byte order mark', `\ufeff${ALICE}: 10.0.0.7\n`, alice('10.0.0.7')],
    [
      'an indented list',
      `---\n  ${ALICE}: 10.0.0.7  \n\n  ${BOB}: ~\n`,
      [{ peerId: ALICE, ips: ['10.0.0.7'] }, { peerId: BOB }]
    ]
  ]
  it.each(cases)('%s', (_, yaml, list) => {
    expect(parseAllowList(yaml)).toStrictEqual(list)
  })

  it('65,536 entries, and 1,024 addresses for a name', () => {
    const yaml = Array.from({ length: 65_536 }, (_, index) => `${hash(index)}: 10.0.0.7\n`).join('')
    expect(thrown(() => parseAllowList(`${yaml}${ALICE}: ~`)).message).toBe(
      'line 65537: more than 65536 entries'
    )

    const ips = Array.from({ length: 1_024 }, (_, index) => `10.0.${index >> 8}.${index & 255}`)
    expect(parseAllowList(`${ALICE}: [${ips.join()}]`)).toStrictEqual(alice(...ips))
    for (const list of [`[${ips.join()}, ::1]`, `\n- ${ips.join('\n- ')}\n- ::1`]) {
      const err = thrown(() => parseAllowList(`${ALICE}: ${list}`))
      expect(err.code).toBe('ERR_INVALID_OPTION')
      expect(err.message).toMatch(/^line \d+: more than 1024 addresses/)
    }
  })
})

describe('parseAllowList refuses', () => {
  const PEER_ID = 'ERR_INVALID_PEER_ID'
  const ADDRESS = 'ERR_INVALID_ADDRESS'
  const OPTION = 'ERR_INVALID_OPTION'
  const cases: Array<[string, string, string, number]> = [
    ['a name that is none', `# x\nalice: 10.0.0.7`, PEER_ID, 2],
    ['an address that is none', `${ALICE}: 10.0.0.7\n${BOB}: 10.0.0.256`, ADDRESS, 2],
    ['a bad address in a list', `${ALICE}:\n  - 10.0.0.7\n  - 10.0.0\n`, ADDRESS, 3],
    ['a bad address in a flow list', `${ALICE}: [10.0.0.7,\n\n  localhost]\n`, ADDRESS, 3],
    ['a quoted tilde', `${ALICE}: '~'`, ADDRESS, 1],
    ['any address within a list', `${ALICE}: [10.0.0.7, ~]`, ADDRESS, 1],
    ['an escape', `${ALICE}: "10.0.0\\x2e7"`, ADDRESS, 1],
    ['a name without an address', `${ALICE}:\n${BOB}: 10.0.0.7`, OPTION, 1],
    ['a last name without an address', `${BOB}: 10.0.0.7\n${ALICE}:\n\n`, OPTION, 2],
    ['a name without a colon', `\n${ALICE}`, OPTION, 2],
    ['an empty list', `${ALICE}: []`, OPTION, 1],
    ['an empty item', `${ALICE}:\n  - 10.0.0.7\n  -\n${BOB}: ~`, OPTION, 3],
    ['a name twice', `${ALICE}: 10.0.0.7\n\n${ALICE}: ~`, OPTION, 3],
    ['a name twice in two forms', `${RSA}: 10.0.0.7\n${RSA_CID}: ~`, OPTION, 2],
    ['a key hash twice', `${HASH}: 10.0.0.7\n${HASH.toUpperCase()}: ~`, OPTION, 2],
    ['allow_all with entries', `allow_all\n${ALICE}: ~`, OPTION, 1],
    ['entries with allow_all', `${ALICE}: ~\nallow_all`, OPTION, 2],
    ['allow_all as a name', `allow_all: true`, OPTION, 1],
    ['allow_all twice', `---\nallow_all\n---\nallow_all`, OPTION, 2],
    ['another word', `allow-all`, OPTION, 1],
    ['a list of names', `- ${ALICE}\n- ${BOB}`, OPTION, 1],
    ['a flow mapping', `{ ${ALICE}: 10.0.0.7 }`, OPTION, 1],
    ['a mapping as an address', `${ALICE}:\n  ip: 10.0.0.7`, ADDRESS, 2],
    ['a flow mapping as an address', `${ALICE}: { ip: 10.0.0.7 }`, OPTION, 1],
    ['a list in a list', `${ALICE}:\n- 10.0.0.7\n- [10.0.0.8]`, OPTION, 3],
    ['a list that is not closed', `${ALICE}: [10.0.0.7\n${BOB}: ~`, OPTION, 2],
    ['a quote that is not closed', `${ALICE}: '10.0.0.7`, OPTION, 1],
    ['a quote and nothing else', `${ALICE}: "`, OPTION, 1],
    ['a name in the line of the document start', `--- ${ALICE}: ~`, OPTION, 1],
    ['a colon in the next line', `'${ALICE}'\n: 10.0.0.7`, OPTION, 1],
    ['a colon without a space, and nothing behind', `${BOB}: ~\n${ALICE}:10.0.0.7\n# the end\n\n`, OPTION, 2],
    ['no colon, and nothing behind', `${BOB}: ~\n${ALICE} 10.0.0.7\n\n\n`, OPTION, 2],
    ['a name and nothing else', `${ALICE}\n\n`, OPTION, 1],
    ['an item in the line of its name', `${ALICE}: - 10.0.0.7`, OPTION, 1],
    ['an item less far in than its name', `  ${ALICE}:\n- 10.0.0.7`, OPTION, 2],
    ['items of which one is less far in', `${ALICE}:\n  - 10.0.0.7\n - 10.0.0.8`, OPTION, 3],
    ['items of which one is further in', `${ALICE}:\n  - '10.0.0.7'\n    - 10.0.0.8`, OPTION, 3],
    ['items without commas', `${ALICE}: ['10.0.0.7' '10.0.0.8']`, OPTION, 1],
    ['two addresses without a list', `${ALICE}: 10.0.0.7, 10.0.0.8`, ADDRESS, 1],
    ['an address that goes on', `${ALICE}: 10.0.0.7\n  10.0.0.8`, OPTION, 1],
    ['a name further in than the first', `${ALICE}: 10.0.0.7\n ${BOB}: ~`, OPTION, 1],
    ['a name less far in than the first', `  ${ALICE}: 10.0.0.7\n${BOB}: ~`, OPTION, 2],
    ['a tab as indentation', `${ALICE}:\n\t- 10.0.0.7`, OPTION, 2],
    ['a comment without space', `${ALICE}: "10.0.0.7"#home`, OPTION, 1],
    ['an anchor', `${ALICE}: &home 10.0.0.7`, OPTION, 1],
    ['an alias', `${ALICE}: 10.0.0.7\n${BOB}: *home`, OPTION, 2],
    ['an alias as a name', `${ALICE}: 10.0.0.7\n*home : 10.0.0.7`, OPTION, 2],
    ['a merge key', `${ALICE}: ~\n<<: ~`, PEER_ID, 2],
    ['a tag', `${ALICE}: !!str 10.0.0.7`, OPTION, 1],
    ['a tag on everything', `!!map\n${ALICE}: 10.0.0.7`, OPTION, 1],
    ['a directive', `%YAML 1.1\n---\n${ALICE}: ~`, OPTION, 1],
    ['a second document', `${ALICE}: ~\n---\n${BOB}: ~`, OPTION, 2],
    ['the end of a document', `${ALICE}: ~\n...\n`, OPTION, 2],
    ['a block text', `${ALICE}: |\n  10.0.0.7\n`, OPTION, 1],
    ['an explicit key', `? ${ALICE}\n: 10.0.0.7`, OPTION, 1],
    ['a name of Object.prototype', `__proto__: ~`, PEER_ID, 1],
    ['binary rubbish', '\u0000\u0002\u001f\u0018', OPTION, 1]
  ]
  it.each(cases)('%s', (_, yaml, code, line) => {
    const err = thrown(() => parseAllowList(yaml))
    expect(err.message).toMatch(new RegExp(`^line ${line}: `))
    expect(err.code).toBe(code)
  })

  it.each([`${ALICE}:`, `${ALICE}: `, `${ALICE}:\n  `])('a name at the end of the text: %j', yaml => {
    expect(thrown(() => parseAllowList(yaml)).message).toMatch(/^line 1: a name without an address/)
  })

  it.each([undefined, null, 7, {}, ['allow_all'], new Uint8Array(3)])('what is not a text: %j', value => {
    expect(thrown(() => parseAllowList(value as never)).code).toBe('ERR_INVALID_OPTION')
  })

  it('more than 16 MiB, counted in bytes', () => {
    for (const text of [' '.repeat(16_777_217), `#${'é'.repeat(8_388_608)}`]) {
      const err = thrown(() => parseAllowList(text))
      expect(err.code).toBe('ERR_INVALID_OPTION')
      expect(err.message).toContain('16777216')
    }
    expect(parseAllowList(' '.repeat(16_777_216))).toEqual([])
  })

  it.each([
    ['brackets', '['],
    ['dashes', '- '],
    ['keys', '? '],
    ['braces', '{a: ']
  ])('a million nested %s as soon as it sees them', (_, piece) => {
    expect(thrown(() => parseAllowList(`${ALICE}: ${piece.repeat(1_000_000)}`)).message).toMatch(/^line 1: /)
    expect(thrown(() => parseAllowList(piece.repeat(1_000_000))).message).toMatch(/^line 1: /)
  })

  it('a private key in a name’s place without repeating it', () => {
    const hex = `08011240${'1f'.repeat(64)}`
    const pem = '-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEI\n-----END PRIVATE KEY-----\n'
    expect(thrown(() => parseAllowList(`${hex}: ~`)).message).not.toContain('1f1f')
    expect(thrown(() => parseAllowList(pem)).message).not.toContain('MC4C')
  })
})

describe('parseAllowList and the whole of YAML', () => {
  const names = ['1', '2', '3'].map(digit => `a${digit.repeat(63)}`)
  const name = fc.constantFrom(...names, `'${names[0]}'`, `"${names[1]}"`)
  const ip = fc.constantFrom('10.0.0.1', '10.0.0.0/8', '::1', "'::1'", '"::"', '1::', '~', 'null', "'~'")
  const line = fc.oneof(
    fc.tuple(name, ip).map(([key, value]) => `${key}: ${value}\n`),
    fc.tuple(name, ip, ip).map(([key, one, two]) => `${key}:\n  - ${one}\n  -\n    ${two}\n`),
    fc.tuple(name, ip, ip).map(([key, one, two]) => `${key}:\n- ${one}\n- ${two}\n`),
    fc.tuple(name, ip, ip).map(([key, one, two]) => `${key}: [${one}, ${two}]\n`),
    fc.tuple(name, ip).map(([key, value]) => `${key}: [\n  ${value},\n]\n`),
    fc.tuple(name, ip).map(([key, value]) => `${key}:\n  ${value}\n`),
    fc.constantFrom('# c\n', '\n', '  \n', '---\n', 'allow_all\n')
  )
  const piece = fc.oneof(
    fc.constantFrom(
      ...': |:|\n|\n|\r\n| |  |\t|- |-|[|]|, |,|#c| # c|---|...|&a|*a|!t|{|}|?|"|%|\ufeff'.split('|'),
      '|',
      "'"
    ),
    name,
    ip
  )
  /** Texts that are nearly right: lines with a few pieces put in or characters taken out. */
  const texts = fc
    .tuple(
      fc.array(line, { maxLength: 4 }).map(lines => lines.join('')),
      fc.array(fc.tuple(fc.nat(), fc.oneof(piece, fc.constant(undefined))), { maxLength: 3 })
    )
    .map(([text, edits]) => {
      for (const [at, put] of edits) {
        const index = at % (text.length + 1)
        text = text.slice(0, index) + (put ?? '') + text.slice(put === undefined ? index + 1 : index)
      }
      return text
    })

  it('accepts nothing that YAML would not, and understands it as YAML does', () => {
    let accepted = 0
    fc.assert(
      fc.property(
        fc.oneof(
          texts,
          fc.array(piece).map(all => all.join(''))
        ),
        text => {
          const list = outcome(text)
          if (list !== 'refused') accepted++
          expect(list).toStrictEqual(list === 'refused' ? list : byYaml(text))
        }
      ),
      { seed, numRuns: 10_000 }
    )
    expect(accepted).toBeGreaterThan(1_000)
  })

  it('gives any text a list or an error with a line', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), text => {
        expect(() => outcome(text)).not.toThrow()
      }),
      { seed, numRuns: 2_000 }
    )
  })
})
