import { createPrivateKey } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { decodePrivateKey, privateKeyBytes } from '../../../src/identity/index.ts'
import { errorOf, fixture, toPem } from './support.ts'

type Numbers = Record<'n' | 'e' | 'd' | 'p' | 'q' | 'dp' | 'dq' | 'qi', bigint>

const jwk = createPrivateKey(fixture('rsa-2048')).export({ format: 'jwk' })
const NUMBERS: Numbers = {
  n: toInteger(jwk.n),
  e: toInteger(jwk.e),
  d: toInteger(jwk.d),
  p: toInteger(jwk.p),
  q: toInteger(jwk.q),
  dp: toInteger(jwk.dp),
  dq: toInteger(jwk.dq),
  qi: toInteger(jwk.qi)
}

function toInteger(text: string | undefined): bigint {
  return BigInt(`0x${Buffer.from(text ?? '', 'base64url').toString('hex')}`)
}

function element(tag: number, content: Uint8Array): Buffer {
  const { length } = content
  const header =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Uint8Array.of(tag, ...header), content])
}

function integer(value: bigint): Buffer {
  const digits = value.toString(16)
  const even = digits.length % 2 === 0 ? digits : `0${digits}`
  return element(0x02, Buffer.from(/^[89a-f]/.test(even) ? `00${even}` : even, 'hex'))
}

function pkcs1(numbers: Numbers): Buffer {
  const { n, e, d, p, q, dp, dq, qi } = numbers
  return element(0x30, Buffer.concat([0n, n, e, d, p, q, dp, dq, qi].map(integer)))
}

/** The libp2p protobuf of these PKCS#1 bytes. */
function protobuf(der: Uint8Array): Uint8Array {
  const { length } = der
  return Uint8Array.of(0x08, 0x00, 0x12, (length & 0x7f) | 0x80, length >> 7, ...der)
}

function refused(numbers: Partial<Numbers>): string {
  const der = pkcs1({ ...NUMBERS, ...numbers })
  const message = errorOf(() => privateKeyBytes(protobuf(der)), 'ERR_INVALID_KEY').message
  errorOf(() => privateKeyBytes(toPem(der, 'RSA PRIVATE KEY')), 'ERR_INVALID_KEY')
  return message
}

describe('an RSA key', () => {
  test('is the same key as PKCS#1 in a protobuf and as PEM', () => {
    const bytes = privateKeyBytes(protobuf(pkcs1(NUMBERS)))
    expect(bytes).toEqual(privateKeyBytes(fixture('rsa-2048')))
    expect(bytes).toEqual(protobuf(pkcs1(NUMBERS)))
  })

  test.each(Object.keys(NUMBERS) as Array<keyof Numbers>)('is refused with a wrong %s', name => {
    const right = NUMBERS[name]
    for (const wrong of [right + 2n, right - 2n, right ^ (1n << 9n), 1n, 0n]) {
      expect(refused({ [name]: wrong })).toMatch(
        /do not belong together|it has \d+ bits|a public key of \d+ bytes|not an RSA key|DER prescribes/
      )
    }
  })

  test.each(['dp', 'dq', 'qi'] as const)('is refused with a wrong %s, although it signs well', async name => {
    const key = createPrivateKey({
      key: pkcs1({ ...NUMBERS, [name]: NUMBERS[name] + 2n }),
      format: 'der',
      type: 'pkcs1'
    })
    expect(key.asymmetricKeyType).toBe('rsa')
    expect(refused({ [name]: NUMBERS[name] + 2n })).toContain('do not belong together')
  })

  test('is refused when a factor is not a prime', () => {
    const { e } = NUMBERS
    // p is a product, and every relation that can be checked without factors holds
    const half = NUMBERS.p >> 1n
    const p = half | 1n
    const q = NUMBERS.q * 3n
    const lambda = (p - 1n) * (q - 1n)
    const d = inverse(e, lambda)
    if (d === undefined) throw new Error('choose other factors')
    const qi = inverse(q, p)
    if (qi === undefined) throw new Error('choose other factors')
    const numbers = { n: p * q, d, p, q, dp: d % (p - 1n), dq: d % (q - 1n), qi }
    expect(refused(numbers)).toContain('do not belong together')
  })

  test('is refused with a public exponent above what others verify', () => {
    const { p, q } = NUMBERS
    const lambda = (p - 1n) * (q - 1n)
    let e = 2n ** 31n + 1n
    while (inverse(e, lambda) === undefined) e += 2n
    const d = inverse(e, lambda)!
    expect(refused({ e, d, dp: d % (p - 1n), dq: d % (q - 1n) })).toContain('public exponent under 2^31')
  })

  test('is refused with a private exponent that works for some messages only', () => {
    const { d, p, q } = NUMBERS
    const lambda = ((p - 1n) * (q - 1n)) / gcd(p - 1n, q - 1n)
    const factors = [2n, 3n, 5n, 7n, 11n, 13n].filter(factor => lambda % factor === 0n)
    expect(factors).toContain(2n)
    for (const factor of factors) {
      for (let i = 1n; i < factor; i++) {
        const other = (d + (i * lambda) / factor) % lambda
        const ours = { d: other, dp: other % (p - 1n), dq: other % (q - 1n) }
        const swapped = { d: other, p: q, q: p, dp: ours.dq, dq: ours.dp, qi: inverse(p, q)! }
        expect(refused(ours)).toContain('do not belong together')
        expect(refused(swapped)).toContain('do not belong together')
      }
    }
  })

  test('is refused with exponents of one, which leave every message as it is', () => {
    expect(refused({ e: 1n, d: 1n, dp: 1n, dq: 1n })).toContain('do not belong together')
  })

  test('is refused with numbers out of their ranges, although they are the same modulo the right ones', () => {
    const { n, d, p, q, qi } = NUMBERS
    const lambda = (p - 1n) * (q - 1n)
    expect(refused({ d: d + lambda * ((n - d) / lambda + 1n) })).toContain('do not belong together')
    expect(refused({ qi: qi + p })).toContain('do not belong together')
    expect(refused({ p: 1n, q: n })).toMatch(/^Invalid key/)
    expect(refused({ p: n, q: 1n })).toMatch(/^Invalid key/)
  })

  test('is accepted with its primes the other way round, and has the same peer ID', () => {
    const { p, q, dp, dq } = NUMBERS
    const swapped = pkcs1({ ...NUMBERS, p: q, q: p, dp: dq, dq: dp, qi: inverse(p, q)! })
    expect(decodePrivateKey(protobuf(swapped)).publicKey.toString()).toBe(
      decodePrivateKey(fixture('rsa-2048')).publicKey.toString()
    )
  })

  test('is refused with something after its numbers, or in another encoding than DER', () => {
    const der = pkcs1(NUMBERS)
    const wider = Buffer.concat([Uint8Array.of(0x30, 0x83, 0x00, ...der.subarray(2, 4)), der.subarray(4)])
    const padded = element(0x30, Buffer.concat([Uint8Array.of(0x02, 0x02, 0x00, 0x00), der.subarray(7)]))
    for (const other of [Buffer.concat([der, Uint8Array.of(0)]), Buffer.concat([der, der]), wider, padded]) {
      const { message } = errorOf(() => privateKeyBytes(protobuf(other)), 'ERR_INVALID_KEY')
      expect(message).toMatch(/followed by something else, or not written as DER|not an RSA key/)
    }
  })
})

function gcd(a: bigint, b: bigint): bigint {
  return b === 0n ? a : gcd(b, a % b)
}

/** The inverse of a modulo m, if there is one. */
function inverse(a: bigint, m: bigint): bigint | undefined {
  let [r0, r1, t0, t1] = [m, a % m, 0n, 1n]
  while (r1 !== 0n) {
    const quotient = r0 / r1
    ;[r0, r1] = [r1, r0 - quotient * r1]
    ;[t0, t1] = [t1, t0 - quotient * t1]
  }
  return r0 === 1n ? ((t0 % m) + m) % m : undefined
}
