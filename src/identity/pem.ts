import { createECDH, createPrivateKey, createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto'
import { invalidKey } from './errors.ts'
import { RSA_NUMBERS_DISAGREE } from './rsa.ts'
import type { RawKey } from './types.ts'

const BEGIN = /-----BEGIN ([A-Z0-9 ]{1,40})-----/g

/** PKCS#8, SEC 1 and PKCS#1. Other blocks of the text, such as EC PARAMETERS, are passed over. */
const LABELS: readonly string[] = ['PRIVATE KEY', 'EC PRIVATE KEY', 'RSA PRIVATE KEY']

/** What precedes the seed of an Ed25519 key, behind the SEQUENCE. Source: RFC 5958, section 2; RFC 8410, section 7. */
const ED25519_PKCS8_V2 = Buffer.from('020101300506032b657004220420', 'hex')
/** Attributes may stand between the two keys. Source: RFC 5958, section 2. */
const ATTRIBUTES = 0xa0
/** What precedes the public key: the implicit tag that RFC 5958 wants, or the explicit one that ring writes. */
const PUBLIC_KEY_TAGS = [Buffer.from('812100', 'hex'), Buffer.from('a123032100', 'hex')]

/** What precedes the scalar of an elliptic curve's key, behind the SEQUENCE. Source: RFC 5915, section 3. */
const SEC1_SCALAR = Buffer.from('0201010420', 'hex')
const SCALAR_BYTES = 32
/** How a point may be written, the last part of a public key. Source: SEC 1, section 2.3.3; X9.62, section 4.3.6. */
const POINT_FORMS = ['uncompressed', 'compressed', 'hybrid'] as const

/**
 * Takes the one private key out of a PEM text.
 *
 * @throws {P2pError} ERR_INVALID_KEY
 */
export function readPem(text: string, form: string): RawKey {
  const labels = [...text.matchAll(BEGIN)]
  const [block, ...more] = labels.filter(match => match[1]?.endsWith('PRIVATE KEY'))
  const label = block?.[1] ?? labels[0]?.[1]
  if (label === undefined) throw invalidKey(form, 'its BEGIN line is damaged')
  if (block === undefined) throw invalidKey(form, `it holds a ${label}; wanted a private key`)
  if (more.length > 0) throw invalidKey(form, `it holds ${more.length + 1} private keys; wanted one`)
  if (label === 'ENCRYPTED PRIVATE KEY' || text.includes('Proc-Type: 4,ENCRYPTED')) {
    throw invalidKey(form, "it is encrypted; decrypt it first, with 'openssl pkey' for example")
  }
  if (!LABELS.includes(label)) throw invalidKey(form, `it holds a ${label}; wanted PKCS#8, a PRIVATE KEY`)

  const raw = label === 'PRIVATE KEY' ? ed25519Pair(text) : undefined
  if (raw !== undefined) return { type: 'Ed25519', raw, form: `Ed25519 in a ${form}` }
  let key: KeyObject
  try {
    key = createPrivateKey(text)
  } catch {
    throw invalidKey(form, `the ${label} in it is truncated, damaged or of an unknown kind`)
  }
  return fromKeyObject(key, form)
}

/**
 * Seed and public key of an Ed25519 key in the second version of PKCS#8, which has both: what Rust's libraries write,
 * and Node 20 does not read. Whether they belong together is looked at with every key.
 */
function ed25519Pair(text: string): Uint8Array | undefined {
  const body = /-----BEGIN PRIVATE KEY-----([\w+/=\s]+)-----END PRIVATE KEY-----/.exec(text)?.[1] ?? ''
  const der = Buffer.from(body, 'base64')
  const [sequence, length] = der
  if (sequence !== 0x30 || length !== der.length - 2) return undefined
  const seedAt = 2 + ED25519_PKCS8_V2.length
  if (!der.subarray(2, seedAt).equals(ED25519_PKCS8_V2)) return undefined
  const seedEnd = seedAt + 32
  const tailAt = der[seedEnd] === ATTRIBUTES ? seedEnd + 2 + (der[seedEnd + 1] ?? 0) : seedEnd
  const tag = PUBLIC_KEY_TAGS.find(bytes => der.length === tailAt + bytes.length + 32)
  if (tag === undefined || !der.subarray(tailAt, -32).equals(tag)) return undefined
  return Uint8Array.from(Buffer.concat([der.subarray(seedAt, seedEnd), der.subarray(-32)]))
}

/** What is wrong with an elliptic curve's key that OpenSSL has read all the same. */
const EC_NUMBERS_DISAGREE = 'its scalar is out of range, or its public key is not that of its private key'

function fromKeyObject(key: KeyObject, form: string): RawKey {
  const type = key.asymmetricKeyType
  if (type === 'ed25519') {
    const raw = jwkBytes(key.export({ format: 'jwk' }), 'd', 'x')
    return { type: 'Ed25519', raw, form: `Ed25519 in a ${form}` }
  }
  if (type === 'rsa') {
    return { type: 'RSA', raw: pkcs1(key, form), form: `RSA in a ${form}` }
  }
  if (type !== 'ec') throw invalidKey(form, `it is a key of type ${type}; wanted Ed25519, secp256k1 or RSA`)

  const sec1 = sec1Der(key)
  if (sec1 === undefined) throw invalidKey(form, EC_NUMBERS_DISAGREE)
  const curve = key.asymmetricKeyDetails?.namedCurve ?? 'without a name'
  if (curve !== 'secp256k1') throw invalidKey(form, `it is a key of the curve ${curve}; wanted secp256k1`)
  const raw = secp256k1Scalar(key, sec1)
  if (raw === undefined) throw invalidKey(form, EC_NUMBERS_DISAGREE)
  return { type: 'secp256k1', raw, form: `secp256k1 in a ${form}` }
}

/** An RSA key's own encoding. Newer versions of OpenSSL refuse to write down numbers that cannot be a key. */
function pkcs1(key: KeyObject, form: string): Uint8Array {
  try {
    return Uint8Array.from(key.export({ type: 'pkcs1', format: 'der' }))
  } catch {
    throw invalidKey(form, RSA_NUMBERS_DISAGREE)
  }
}

/**
 * An elliptic curve's key in its own encoding, if it can be written down. That is asked first: over one whose public key
 * is the point at infinity Node 20 and 22 end the process when they are asked for its curve.
 */
function sec1Der(key: KeyObject): Buffer | undefined {
  try {
    return key.export({ type: 'sec1', format: 'der' })
  } catch {
    return undefined
  }
}

/**
 * The scalar of a sound key. OpenSSL takes any scalar, and on trust the public key that may stand beside it. No JWK is
 * made of either: over the scalar 0, Node 26 leaves an error of OpenSSL's behind, and fails with it the next time that
 * it reads a key, a sound one.
 */
function secp256k1Scalar(key: KeyObject, sec1: Buffer): Uint8Array | undefined {
  const at = sec1.indexOf(SEC1_SCALAR) + SEC1_SCALAR.length
  const scalar = Uint8Array.from(sec1.subarray(at, at + SCALAR_BYTES))
  const ecdh = createECDH('secp256k1')
  try {
    ecdh.setPrivateKey(scalar)
  } catch {
    return undefined
  }
  const publicKey = createPublicKey(key).export({ type: 'spki', format: 'der' })
  const points = POINT_FORMS.map(form => ecdh.getPublicKey(null, form))
  return points.some(point => publicKey.subarray(-point.length).equals(point)) ? scalar : undefined
}

function jwkBytes(jwk: JsonWebKey, ...fields: Array<'d' | 'x'>): Uint8Array {
  return Uint8Array.from(Buffer.concat(fields.map(field => Buffer.from(jwk[field] ?? '', 'base64url'))))
}
