import { createPrivateKey, createPublicKey, sign, verify, type JsonWebKey, type KeyObject } from 'node:crypto'

/** go-libp2p accepts no smaller key. */
const MIN_MODULUS_BITS = 2_048

/** js-libp2p refuses to read a remote's public key above this size (`MAX_RSA_JWK_SIZE`): just under 8,192 bits. */
const MAX_SPKI_BYTES = 1_061

/** Go's crypto/rsa verifies with no larger exponent. */
const MAX_PUBLIC_EXPONENT = 2n ** 31n - 1n

/** Any message will do: see `isPair`. */
const PROBE = new Uint8Array(32)

/** What is wrong with most unsound keys. */
export const RSA_NUMBERS_DISAGREE =
  'its numbers do not belong together (two primes wanted, and a public exponent under 2^31)'

/** What is wrong with a PKCS#1 private key in DER, or undefined if it is sound. OpenSSL checks none of this. */
export function rsaProblem(der: Uint8Array): string | undefined {
  try {
    return problemOf(createPrivateKey({ key: Buffer.from(der), format: 'der', type: 'pkcs1' }), der)
  } catch {
    return 'it is not an RSA key in PKCS#1 DER'
  }
}

function problemOf(key: KeyObject, der: Uint8Array): string | undefined {
  const publicKey = createPublicKey(key)
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0
  if (bits < MIN_MODULUS_BITS) return `it has ${bits} bits; wanted at least ${MIN_MODULUS_BITS}`
  const spkiBytes = publicKey.export({ type: 'spki', format: 'der' }).length
  if (spkiBytes > MAX_SPKI_BYTES) {
    return `it has ${bits} bits, a public key of ${spkiBytes} bytes; peers read at most ${MAX_SPKI_BYTES}, just under 8192 bits`
  }
  if (!key.export({ type: 'pkcs1', format: 'der' }).equals(der)) {
    return 'it is followed by something else, or not written as DER prescribes'
  }
  if (!isConsistent(key.export({ format: 'jwk' })) || !isPair(key, publicKey)) {
    return RSA_NUMBERS_DISAGREE
  }
  return undefined
}

/** Whether the public key verifies what the private key signs. If a factor is no prime, it does not. */
function isPair(key: KeyObject, publicKey: KeyObject): boolean {
  return verify('sha256', PROBE, publicKey, sign('sha256', PROBE, key))
}

/**
 * Whether the numbers satisfy RFC 8017, section 3.2. A signature alone does not tell: OpenSSL quietly works
 * around a wrong dp, dq or qi, and other implementations then sign in a way that gives the primes away.
 */
function isConsistent(jwk: JsonWebKey): boolean {
  const [n, e, d, p, q] = [integer(jwk.n), integer(jwk.e), integer(jwk.d), integer(jwk.p), integer(jwk.q)]
  const [dp, dq, qi] = [integer(jwk.dp), integer(jwk.dq), integer(jwk.qi)]
  return (
    e > 1n &&
    e <= MAX_PUBLIC_EXPONENT &&
    p * q === n &&
    d < n &&
    (d * e) % (p - 1n) === 1n &&
    (d * e) % (q - 1n) === 1n &&
    dp === d % (p - 1n) &&
    dq === d % (q - 1n) &&
    qi < p &&
    (qi * q) % p === 1n
  )
}

function integer(base64url: string | undefined): bigint {
  return BigInt(`0x0${Buffer.from(base64url ?? '', 'base64url').toString('hex')}`)
}
