import { createECDH, createPrivateKey, generateKeyPairSync } from 'node:crypto'
import { generateKeyPair, privateKeyFromProtobuf, privateKeyToProtobuf } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey as libp2pPeerId } from '@libp2p/peer-id'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  canonicalPeerId,
  decodePrivateKey,
  generatePrivateKey,
  peerIdFromPrivateKey,
  privateKeyBytes
} from '../../../src/identity/index.ts'
import type { KeyType } from '../../../src/identity/index.ts'
import { errorOf, fixture, toPem } from './support.ts'

const KEY_TYPES: KeyType[] = ['Ed25519', 'secp256k1', 'RSA']

/** The test vectors of the libp2p peer ID specification. */
const SPEC_ED25519 =
  '080112407e0830617c4a7de83925dfb2694556b12936c477a0e1feb2e148ec9da60fee7d1ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e'
const SPEC_SECP256K1 = '0802122053DADF1D5A164D6B4ACDB15E24AA4C5B1D3461BDBD42ABEDB0A4404D56CED8FB'
const SPEC_SECP256K1_PUBLIC = '037777e994e452c21604f91de093ce415f5432f701dd8cd1a7a6fea0e630bfca99'

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const bytesOf = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'))

const protobufOf = (scalar: bigint): string => `08021220${scalar.toString(16).padStart(64, '0')}`

/** A secp256k1 key in SEC 1 as PEM text, with a public key or without. Source: RFC 5915, section 3. */
function sec1Pem(scalar: Uint8Array, point?: Uint8Array): string {
  const length = point?.length ?? 0
  const publicKey = point && [Uint8Array.of(0xa1, length + 3, 0x03, length + 1, 0x00), point]
  const parts = [bytesOf('0201010420'), scalar, bytesOf('a00706052b8104000a'), ...(publicKey ?? [])]
  const body = Buffer.concat(parts)
  return toPem(Buffer.concat([Uint8Array.of(0x30, body.length), body]), 'EC PRIVATE KEY')
}

const SOUND = fixture('ed25519')

/** The message with which every function that takes a key refuses it, each time; a sound key is read all the same. */
function refused(key: unknown): string {
  const { message, cause } = errorOf(() => privateKeyBytes(key as string), 'ERR_INVALID_KEY')
  expect(errorOf(() => decodePrivateKey(key as string), 'ERR_INVALID_KEY').message).toBe(message)
  expect(errorOf(() => peerIdFromPrivateKey(key as string), 'ERR_INVALID_KEY').message).toBe(message)
  expect(cause).toBeUndefined()
  expect(createPrivateKey(SOUND).type).toBe('private')
  return message
}

describe('generatePrivateKey', () => {
  test.each(KEY_TYPES)('makes a key of type %s that libp2p reads, another one each time', async type => {
    const key = await generatePrivateKey(type)
    const theirs = privateKeyFromProtobuf(key)
    expect(theirs.type).toBe(type)
    expect(peerIdFromPrivateKey(key)).toBe(libp2pPeerId(theirs).toString())
    expect(canonicalPeerId(peerIdFromPrivateKey(key))).toBe(peerIdFromPrivateKey(key))
    expect(hex(await generatePrivateKey(type))).not.toBe(hex(key))
  })

  test('makes an Ed25519 key unless told otherwise', async () => {
    expect(decodePrivateKey(await generatePrivateKey()).type).toBe('Ed25519')
  })

  test('makes RSA keys of 2048 bits', async () => {
    const { raw } = decodePrivateKey(await generatePrivateKey('RSA'))
    const key = createPrivateKey({ key: Buffer.from(raw), format: 'der', type: 'pkcs1' })
    expect(key.asymmetricKeyDetails?.modulusLength).toBe(2048)
  })

  test.each(['ECDSA', 'ed25519', '', null, 7, '__proto__'])('refuses the key type %j', async type => {
    await expect(generatePrivateKey(type as KeyType)).rejects.toMatchObject({
      name: 'P2pError',
      code: 'ERR_INVALID_OPTION',
      message: expect.stringContaining("wanted 'Ed25519', 'secp256k1' or 'RSA'")
    })
  })
})

describe('accepted forms', () => {
  test('the vectors of the libp2p specification have their peer IDs', () => {
    expect(peerIdFromPrivateKey(SPEC_ED25519)).toBe('12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq')
    expect(hex(decodePrivateKey(SPEC_SECP256K1).publicKey.raw)).toBe(SPEC_SECP256K1_PUBLIC)
  })

  test.each(KEY_TYPES)(
    'protobuf bytes and every spelling of their hex are one key of type %s',
    async type => {
      const key = await generatePrivateKey(type)
      const lower = hex(key)
      const upper = lower.toUpperCase()
      const inputs = [key, Buffer.from(key), lower, upper, `0x${lower}`, `0X${upper}`, `\n ${lower}\r\n`]
      for (const input of inputs) expect(hex(privateKeyBytes(input))).toBe(lower)
    }
  )

  test.each([
    ['ed25519', 'Ed25519', '12D3KooWQwGP2WvsjyagCidtcx3HCBCCSnM9Lxdkz4qKiBRRY9PS'],
    ['secp256k1', 'secp256k1', '16Uiu2HAm7VuDpDkg8ALFqTKXaHbFVX8ZYcsbUsASmNtSnbgFqxan'],
    ['secp256k1-sec1', 'secp256k1', '16Uiu2HAm7VuDpDkg8ALFqTKXaHbFVX8ZYcsbUsASmNtSnbgFqxan'],
    ['secp256k1-explicit', 'secp256k1', '16Uiu2HAmUhymuurULmysrNRQmViubm6T5vzLyB9vLrQWEZdiUhkK'],
    ['rsa-2048', 'RSA', 'QmWwbe9BfmpfUHLyc1jbTZcPEZD7hXARBHD2NwS63pmJQ6'],
    ['rsa-2048-pkcs1', 'RSA', 'QmWwbe9BfmpfUHLyc1jbTZcPEZD7hXARBHD2NwS63pmJQ6']
  ])('the PEM text %s.pem is a key of type %s', (name, type, peerId) => {
    const key = decodePrivateKey(fixture(name))
    expect(key.type).toBe(type)
    expect(libp2pPeerId(key).toString()).toBe(peerId)
    expect(peerIdFromPrivateKey(fixture(name))).toBe(peerId)
    expect(peerIdFromPrivateKey(privateKeyBytes(fixture(name)))).toBe(peerId)
  })

  test('PEM text may have Windows line ends, a byte order mark, and text around it', () => {
    const pem = fixture('ed25519')
    const peerId = peerIdFromPrivateKey(pem)
    expect(peerIdFromPrivateKey(pem.replaceAll('\n', '\r\n'))).toBe(peerId)
    expect(peerIdFromPrivateKey(`\uFEFF${pem}`)).toBe(peerId)
    expect(peerIdFromPrivateKey(`the key of node 7:\n${pem}do not lose it\n`)).toBe(peerId)
    expect(peerIdFromPrivateKey(fixture('ed25519-public') + pem)).toBe(peerId)
    expect(peerIdFromPrivateKey(toPem(Buffer.alloc(60), 'CERTIFICATE') + pem)).toBe(peerId)
  })

  test('any secp256k1 scalar is the same key as protobuf, as PKCS#8 and as SEC 1', () => {
    const scalars = fc.oneof(fc.bigInt(1n, 2n ** 16n), fc.bigInt(1n, 2n ** 255n))
    const property = fc.property(scalars, scalar => {
      const raw = bytesOf(scalar.toString(16).padStart(64, '0'))
      const protobuf = Uint8Array.of(0x08, 0x02, 0x12, 0x20, ...raw)
      const sec1 = sec1Pem(raw)
      const pkcs8 = createPrivateKey(sec1).export({ type: 'pkcs8', format: 'pem' })
      expect(hex(privateKeyBytes(sec1))).toBe(hex(protobuf))
      expect(hex(privateKeyBytes(pkcs8.toString()))).toBe(hex(protobuf))
    })
    fc.assert(property, { seed: 20_260_102, numRuns: 30 })
  })

  test('a secp256k1 key in SEC 1 may have its public key in any form of a point, or not at all', () => {
    const ecdh = createECDH('secp256k1')
    const point = ecdh.generateKeys()
    const scalar = Buffer.from(ecdh.getPrivateKey('hex').padStart(64, '0'), 'hex')
    const compressed = ecdh.getPublicKey(null, 'compressed')
    const hybrid = ecdh.getPublicKey(null, 'hybrid')
    for (const form of [undefined, point, compressed, hybrid]) {
      expect(hex(privateKeyBytes(sec1Pem(scalar, form)))).toBe(`08021220${hex(scalar)}`)
    }
  })

  test('the bytes have memory of their own, so that they can be transferred, and the caller can clear its own', async () => {
    const key = Buffer.from(await generatePrivateKey('secp256k1'))
    const bytes = privateKeyBytes(key)
    const decoded = decodePrivateKey(key)
    const copy = hex(key)
    key.fill(0)
    expect(bytes.buffer.byteLength).toBe(bytes.length)
    expect(Object.getPrototypeOf(bytes)).toBe(Uint8Array.prototype)
    expect(hex(bytes)).toBe(copy)
    expect(hex(privateKeyToProtobuf(decoded))).toBe(copy)
    bytes.fill(0)
    expect(hex(privateKeyToProtobuf(decoded))).toBe(copy)
  })
})

describe('refused forms', () => {
  test.each([
    ['undefined', undefined, 'undefined'],
    ['null', null, 'null'],
    ['a number', 7, 'a value of type number'],
    ['an object', { length: 3 }, 'a value of type object'],
    ['an array', [8, 1, 18], 'a value of type object'],
    [
      'a promise of one',
      Promise.resolve(fixture('ed25519')),
      'a Promise, which generatePrivateKey() gives and is to be awaited'
    ],
    ['an ArrayBuffer', new ArrayBuffer(68), 'an ArrayBuffer'],
    ['a DataView', new DataView(new ArrayBuffer(68)), 'a value of type object'],
    ['a pretended Uint8Array', Object.create(Uint8Array.prototype), 'a value of type object'],
    ['a key object', createPrivateKey(fixture('ed25519')), 'a value of type object']
  ])('%s', (_what, value, shown) => {
    expect(refused(value)).toBe(`Invalid key (${shown}): wanted a Uint8Array or a string`)
  })

  test('an empty text, and no bytes', () => {
    expect(refused('')).toContain('empty')
    expect(refused(' \n')).toContain('empty')
    expect(refused(new Uint8Array(0))).toContain('empty')
  })

  test('a text or bytes over 64 KiB, at once', () => {
    const limit = 65_536
    expect(refused('0'.repeat(500_000_000))).toBe(
      'Invalid key (a text of 500000000 characters): too long for a key; at most 65536 are read'
    )
    expect(refused(new Uint8Array(limit + 1))).toContain('65537 bytes): too long')
    expect(refused('0'.repeat(limit))).not.toContain('too long')
    expect(refused(new Uint8Array(limit))).not.toContain('too long')
    expect(refused('-----BEGIN PRIVATE KEY-----'.repeat(2_000))).toContain('holds 2000 private keys')
    expect(refused('-'.repeat(limit))).toContain('neither PEM nor hex')
  })

  test('hex with an odd number of digits, or with something else in it', () => {
    expect(refused(SPEC_ED25519.slice(0, -1))).toBe(
      'Invalid key (hex text of 135 characters): the number of digits is odd'
    )
    for (const text of [
      `${SPEC_ED25519}g`,
      `x${SPEC_ED25519}`,
      `0x0x${SPEC_ED25519}`,
      'CAESQP',
      '12D3KooW'
    ]) {
      expect(refused(text)).toBe(
        `Invalid key (a text of ${text.length} characters): it is neither PEM nor hex`
      )
    }
    expect(refused('0x')).toContain('too short')
  })

  test('the bytes of a PEM text, with the remedy', () => {
    expect(refused(Buffer.from(fixture('rsa-2048')))).toContain('give the text, as a string')
  })
})

describe('refused protobufs', () => {
  test.each([
    ['cut off after its first byte', '08', 'too short'],
    ['of another message', '0a03666f6f', 'not the libp2p protobuf'],
    ['a raw Ed25519 seed and key', SPEC_ED25519.slice(8), 'not the libp2p protobuf'],
    ['with its fields the other way round', `${SPEC_SECP256K1.slice(4)}0802`, 'not the libp2p protobuf'],
    ['with the type twice', `0802${SPEC_SECP256K1}`, 'not the libp2p protobuf'],
    ['without data', '080112', 'truncated'],
    ['with empty data', '08011200', 'wanted a seed and a public key, 64 bytes, not 0'],
    ['with a long-winded length', `080212a000${SPEC_SECP256K1.slice(8)}`, 'truncated or damaged'],
    ['with an endless length', '080112ffffffffffffffffff', 'truncated or damaged'],
    ['with an enormous length', '080112ffff7f', 'it is truncated'],
    ['of an ECDSA key', '08031200', 'none of Ed25519, secp256k1 and RSA'],
    ['of an unknown type', '08041200', 'none of Ed25519, secp256k1 and RSA'],
    ['with a type of several bytes', '0881001200', 'not the libp2p protobuf'],
    ['of an Ed25519 seed alone', `08011220${SPEC_ED25519.slice(8, 72)}`, '64 bytes, not 32'],
    ['of a secp256k1 scalar that is short', `0802121f${'11'.repeat(31)}`, 'a scalar of 32 bytes, not 31'],
    ['of a secp256k1 scalar that is long', `08021221${'11'.repeat(33)}`, 'a scalar of 32 bytes, not 33'],
    ['of RSA without numbers', '08001200', 'not an RSA key in PKCS#1 DER'],
    ['of RSA with something else', '0800120430020201', 'not an RSA key in PKCS#1 DER']
  ])('%s', (_what, text, problem) => {
    expect(refused(text)).toContain(problem)
    expect(refused(bytesOf(text))).toContain(problem)
  })

  test.each(KEY_TYPES)('cut off anywhere, or followed by something: type %s', async type => {
    const key = await generatePrivateKey(type)
    for (let length = 1; length < key.length; length += type === 'RSA' ? 37 : 1) {
      expect(refused(key.subarray(0, length))).toMatch(/truncated|too short/)
    }
    for (const tail of [[0], [0x0a], [0x08, 0x01], [0x18, 0x01], [...key]]) {
      expect(refused(Uint8Array.of(...key, ...tail))).toContain('something follows the key')
    }
  })

  test('an Ed25519 key with the public key of another', async () => {
    const [ours, theirs] = [await generatePrivateKey(), await generatePrivateKey()]
    const mixed = Uint8Array.of(...ours.subarray(0, 36), ...theirs.subarray(36))
    expect(privateKeyFromProtobuf(mixed).type).toBe('Ed25519')
    expect(refused(mixed)).toBe(
      'Invalid key (Ed25519 in a libp2p protobuf, 68 bytes): its public key is not that of its private key'
    )
  })

  test('a secp256k1 scalar of zero, of the order of the curve, and above', () => {
    const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
    for (const scalar of [0n, order, order + 1n, 2n ** 256n - 1n]) {
      expect(refused(protobufOf(scalar))).toContain('zero or not below the order')
    }
    for (const scalar of [1n, order - 1n])
      expect(peerIdFromPrivateKey(protobufOf(scalar))).toMatch(/^16Uiu2HA/)
  })
})

describe('refused PEM texts', () => {
  test.each([
    ['encrypted-pkcs8', 'it is encrypted'],
    ['encrypted-pkcs1', 'it is encrypted'],
    ['ed25519-public', 'it holds a PUBLIC KEY; wanted a private key'],
    ['p-256', 'the curve prime256v1; wanted secp256k1'],
    ['x25519', 'type x25519; wanted Ed25519, secp256k1 or RSA'],
    ['ed448', 'type ed448; wanted'],
    ['dsa', 'type dsa; wanted'],
    ['rsa-pss', 'type rsa-pss; wanted'],
    ['rsa-1024', 'it has 1024 bits; wanted at least 2048'],
    ['rsa-8192', 'it has 8192 bits, a public key of 1062 bytes; peers read at most 1061'],
    ['rsa-8200', 'it has 8200 bits'],
    ['rsa-2048-three-primes', 'two primes wanted']
  ])('%s.pem', (name, problem) => {
    const message = refused(fixture(name))
    expect(message).toContain(problem)
    expect(message).toMatch(/PEM text of \d+ characters/)
  })

  test('of another label', () => {
    const body = Buffer.alloc(60)
    expect(refused(toPem(body, 'CERTIFICATE'))).toContain('it holds a CERTIFICATE')
    expect(refused(toPem(body, 'OPENSSH PRIVATE KEY'))).toContain('wanted PKCS#8')
    expect(refused(toPem(body, 'PRIVATE KEY'))).toContain('truncated, damaged or of an unknown kind')
    expect(refused('-----BEGIN private key-----')).toContain('BEGIN line is damaged')
    expect(refused('-----BEGIN')).toContain('BEGIN line is damaged')
  })

  test('with two private keys, rather than taking one of them', () => {
    expect(refused(fixture('ed25519') + fixture('rsa-2048'))).toContain('holds 2 private keys; wanted one')
  })

  test('cut off, or without its END line', () => {
    const pem = fixture('rsa-2048')
    for (let length = 28; length < pem.length - 2; length += 97) {
      expect(refused(pem.slice(0, length))).toMatch(/truncated/)
    }
  })

  test('a secp256k1 key with the public key of another, or no scalar of the curve', () => {
    const [ours, theirs] = [
      generateKeyPairSync('ec', { namedCurve: 'secp256k1' }),
      generateKeyPairSync('ec', { namedCurve: 'secp256k1' })
    ]
    const der = ours.privateKey.export({ type: 'sec1', format: 'der' })
    const point = theirs.publicKey.export({ type: 'spki', format: 'der' }).subarray(-65)
    expect(refused(toPem(Buffer.concat([der.subarray(0, -65), point]), 'EC PRIVATE KEY'))).toContain(
      'its public key is not that of its private key'
    )
    for (const byte of [0, 0xff]) {
      expect(refused(sec1Pem(new Uint8Array(32).fill(byte)))).toContain('its scalar is out of range')
    }
    // In the place of the public key, the point at infinity, and one that is not on the curve.
    for (const wrong of ['00', '04'.padEnd(130, '7')]) {
      const message = refused(sec1Pem(new Uint8Array(32).fill(7), bytesOf(wrong)))
      expect(message).toMatch(/its public key is not that of its private key|truncated, damaged/)
    }
  })
})

describe('whatever is wrong', () => {
  const KEYS: Record<KeyType, Uint8Array> = {
    Ed25519: privateKeyBytes(fixture('ed25519')),
    secp256k1: privateKeyBytes(fixture('secp256k1')),
    RSA: privateKeyBytes(fixture('rsa-2048'))
  }

  /** Some bytes of a key of this type, changed. */
  const damagedKey = (type: KeyType): fc.Arbitrary<Uint8Array> => {
    const key = KEYS[type]
    const changes = fc.array(fc.tuple(fc.nat(key.length - 1), fc.integer({ min: 1, max: 255 })), {
      minLength: 1
    })
    return changes.map(list => {
      const damaged = Uint8Array.from(key)
      for (const [offset, change] of list) damaged[offset] = key[offset]! ^ change
      return damaged
    })
  }

  test.each(['Ed25519', 'RSA'] as const)('a damaged protobuf of type %s is refused', type => {
    const property = fc.property(damagedKey(type), damaged => {
      expect(refused(damaged)).toMatch(/^Invalid key/)
    })
    fc.assert(property, { seed: 20_260_103, numRuns: 150 })
  })

  test('a damaged protobuf of type secp256k1 is refused, or the key of another scalar', () => {
    const property = fc.property(damagedKey('secp256k1'), damaged => {
      expect(acceptedOrRefused(damaged)).toBeOneOf([hex(damaged), 'refused'])
    })
    fc.assert(property, { seed: 20_260_104, numRuns: 100 })
  })

  test('a damaged PEM text is refused, or the text of some sound key', () => {
    const names = ['ed25519', 'secp256k1', 'secp256k1-sec1', 'rsa-2048', 'rsa-2048-pkcs1']
    const texts = fc.constantFrom(...names).map(fixture)
    const property = fc.property(texts, fc.nat(2_000), fc.string({ maxLength: 4 }), (text, at, junk) => {
      const offset = at % text.length
      const damaged = text.slice(0, offset) + junk + text.slice(offset + junk.length)
      expect(acceptedOrRefused(damaged)).toMatch(/^(refused|[0-9a-f]+)$/)
    })
    fc.assert(property, { seed: 20_260_105, numRuns: 200 })
  })

  test('any text and any bytes are refused with ERR_INVALID_KEY', () => {
    const texts = fc.oneof(fc.string(), fc.stringMatching(/^(0x)?080[0-3]12[0-9a-f]{0,140}$/))
    const inputs = fc.oneof(texts, fc.uint8Array({ maxLength: 200 }))
    const property = fc.property(inputs, input => {
      expect(refused(input)).toMatch(/^Invalid key/)
    })
    fc.assert(property, { seed: 20_260_106, numRuns: 1_000 })
  })

  test('no message contains any part of the key', async () => {
    const hexTexts = KEY_TYPES.flatMap(type => {
      const text = hex(KEYS[type])
      return [text.slice(0, -1), text.slice(0, -2), `${text}00`, text.slice(2), `${text}-`, `0${text}0`]
    })
    hexTexts.push(hex(privateKeyToProtobuf(await generateKeyPair('ECDSA'))), protobufOf(2n ** 256n - 1n))
    const pemTexts = ['p-256', 'x25519', 'encrypted-pkcs8', 'rsa-1024', 'rsa-2048-three-primes'].map(fixture)
    for (const text of [...hexTexts, ...pemTexts]) {
      const message = refused(text)
      const body = text.replaceAll(/-----[A-Z ]+-----/g, '')
      const parts = Array.from({ length: body.length - 7 }, (_, at) => body.slice(at, at + 8))
      expect(parts.filter(part => message.includes(part))).toEqual([])
    }
  })
})

/** The accepted key in hex, which is then a key libp2p reads; or 'refused'. */
function acceptedOrRefused(key: Uint8Array | string): string {
  try {
    const bytes = privateKeyBytes(key)
    return hex(privateKeyToProtobuf(privateKeyFromProtobuf(bytes)))
  } catch {
    refused(key)
    return 'refused'
  }
}
