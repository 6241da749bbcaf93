import { createECDH, createPrivateKey, type JsonWebKey, type KeyObject } from 'node:crypto'
import { invalidKey } from './errors.ts'
import { RSA_NUMBERS_DISAGREE } from './rsa.ts'
import type { RawKey } from './types.ts'

const BEGIN = /-----BEGIN ([A-Z0-9 ]{1,40})-----/g

/** PKCS#8, SEC 1 and PKCS#1. Other blocks of the text, such as EC PARAMETERS, are passed over. */
const LABELS: readonly string[] = ['PRIVATE KEY', 'EC PRIVATE KEY', 'RSA PRIVATE KEY']

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

  let key: KeyObject
  try {
    key = createPrivateKey(text)
  } catch {
    throw invalidKey(form, `the ${label} in it is truncated, damaged or of an unknown kind`)
  }
  return fromKeyObject(key, form)
}

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

  const curve = key.asymmetricKeyDetails?.namedCurve ?? 'without a name'
  if (curve !== 'secp256k1') throw invalidKey(form, `it is a key of the curve ${curve}; wanted secp256k1`)
  const raw = secp256k1Scalar(key)
  if (raw === undefined) {
    throw invalidKey(form, 'its scalar is out of range, or its public key is not that of its private key')
  }
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

/** The scalar of a sound key. OpenSSL takes any scalar, and on trust the public key that may stand beside it. */
function secp256k1Scalar(key: KeyObject): Uint8Array | undefined {
  try {
    const jwk = key.export({ format: 'jwk' })
    const scalar = jwkBytes(jwk, 'd')
    const ecdh = createECDH('secp256k1')
    ecdh.setPrivateKey(scalar)
    return ecdh
      .getPublicKey()
      .subarray(1)
      .equals(jwkBytes(jwk, 'x', 'y'))
      ? scalar
      : undefined
  } catch {
    return undefined
  }
}

function jwkBytes(jwk: JsonWebKey, ...fields: Array<'d' | 'x' | 'y'>): Uint8Array {
  return Uint8Array.from(Buffer.concat(fields.map(field => Buffer.from(jwk[field] ?? '', 'base64url'))))
}
