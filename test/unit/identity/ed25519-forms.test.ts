import { privateKeyFromProtobuf } from '@libp2p/crypto/keys'
import { describe, expect, test } from 'vitest'
import { peerIdFromPrivateKey, privateKeyBytes } from '../../../src/identity/index.ts'
import { errorOf, toPem } from './support.ts'

/** RFC 8032, section 7.1, test 1. */
const SEED = '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60'
const PUBLIC_KEY = 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a'
const PROTOBUF = `08011240${SEED}${PUBLIC_KEY}`

const bytesOf = (hex: string): Buffer => Buffer.from(hex, 'hex')
const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const refused = (key: string | Uint8Array): string =>
  errorOf(() => privateKeyBytes(key), 'ERR_INVALID_KEY').message

describe('PKCS#8 with the public key', () => {
  const wrapped = (content: string): string => {
    const bytes = bytesOf(content)
    return toPem(Buffer.concat([Uint8Array.of(0x30, bytes.length), bytes]), 'PRIVATE KEY')
  }
  const VERSION_2 = '020101300506032b657004220420'

  test.each([
    { who: 'RFC 5958 and ed25519-dalek', tag: '812100' },
    { who: 'ring', tag: 'a123032100' }
  ])('as $who write it is the key itself', ({ tag }) => {
    const pem = wrapped(`${VERSION_2}${SEED}${tag}${PUBLIC_KEY}`)
    expect(hexOf(privateKeyBytes(pem))).toBe(PROTOBUF)
    expect(hexOf(privateKeyBytes(pem.replaceAll('\n', '\r\n')))).toBe(PROTOBUF)
  })

  test('may have attributes: the example of RFC 8410', () => {
    // Section 10.3: the same key without and with its public key.
    const pem = `-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
-----END PRIVATE KEY-----
`
    const whole = `-----BEGIN PRIVATE KEY-----
MHICAQEwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
oB8wHQYKKoZIhvcNAQkJFDEPDA1DdXJkbGUgQ2hhaXJzgSEAGb9ECWmEzf6FQbrB
Z9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PRIVATE KEY-----
`
    expect(peerIdFromPrivateKey(whole)).toBe(peerIdFromPrivateKey(pem))
  })

  test('that is not that of the private key is refused', () => {
    const other = PUBLIC_KEY.replace('d75a', 'd75b')
    expect(refused(wrapped(`${VERSION_2}${SEED}812100${other}`))).toContain(
      'its public key is not that of its private key'
    )
  })
})

describe('old libp2p keys, which have the public key twice,', () => {
  const old = (again: string): Buffer => bytesOf(`08011260${SEED}${PUBLIC_KEY}${again}`)

  test('are the same key in the form of today', () => {
    expect(privateKeyFromProtobuf(old(PUBLIC_KEY)).publicKey.toString()).toBe(peerIdFromPrivateKey(PROTOBUF))
    expect(hexOf(privateKeyBytes(old(PUBLIC_KEY)))).toBe(PROTOBUF)
    expect(hexOf(privateKeyBytes(hexOf(old(PUBLIC_KEY))))).toBe(PROTOBUF)
  })

  test('are refused when the two differ', () => {
    expect(refused(old(SEED))).toContain('64 bytes, not 96')
    expect(refused(bytesOf(`08011260${SEED}${SEED}${SEED}`))).toContain('not that of its private key')
  })
})
