// Noise_XX_25519_ChaChaPoly_SHA256 (noiseprotocol.org, revision 34) on node:crypto, open to abuse at every byte.
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync
} from 'node:crypto'

const NAME = Buffer.from('Noise_XX_25519_ChaChaPoly_SHA256')
const TAG = 16
const EMPTY = Buffer.alloc(0)
const PUBLIC_DER = Buffer.from('302a300506032b656e032100', 'hex')
const PRIVATE_DER = Buffer.from('302e020100300506032b656e04220420', 'hex')

/** A key pair of X25519. */
export function keyPair() {
  const { publicKey, privateKey } = generateKeyPairSync('x25519')
  return {
    publicKey: publicKey.export({ format: 'der', type: 'spki' }).subarray(PUBLIC_DER.length),
    privateKey: privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(PRIVATE_DER.length)
  }
}

function dh(privateKey, publicKey) {
  return diffieHellman({
    privateKey: createPrivateKey({
      key: Buffer.concat([PRIVATE_DER, privateKey]),
      format: 'der',
      type: 'pkcs8'
    }),
    publicKey: createPublicKey({ key: Buffer.concat([PUBLIC_DER, publicKey]), format: 'der', type: 'spki' })
  })
}

const sha256 = (...parts) => {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest()
}

function hmac(key, ...parts) {
  const mac = createHmac('sha256', key)
  for (const part of parts) mac.update(part)
  return mac.digest()
}

function hkdf(chainingKey, material) {
  const secret = hmac(chainingKey, material)
  const first = hmac(secret, Buffer.from([1]))
  return [first, hmac(secret, first, Buffer.from([2]))]
}

/** One direction's key and counter. */
export class Cipher {
  constructor(key) {
    this.key = key
    this.count = 0n
  }

  nonce() {
    const nonce = Buffer.alloc(12)
    nonce.writeBigUInt64LE(this.count++, 4)
    return nonce
  }

  encrypt(plain, associated = EMPTY) {
    const cipher = createCipheriv('chacha20-poly1305', this.key, this.nonce(), { authTagLength: TAG })
    cipher.setAAD(associated, { plaintextLength: plain.length })
    return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()])
  }

  decrypt(sealed, associated = EMPTY) {
    const cipher = createDecipheriv('chacha20-poly1305', this.key, this.nonce(), { authTagLength: TAG })
    cipher.setAAD(associated, { plaintextLength: sealed.length - TAG })
    cipher.setAuthTag(sealed.subarray(sealed.length - TAG))
    return Buffer.concat([cipher.update(sealed.subarray(0, sealed.length - TAG)), cipher.final()])
  }
}

/** One handshake, either side: messages 1 and 3 are the initiator's, 2 is the responder's. */
export class Handshake {
  constructor({ initiator, staticKey = keyPair(), ephemeralKey = keyPair() }) {
    this.initiator = initiator
    this.staticKey = staticKey
    this.ephemeralKey = ephemeralKey
    this.hash = NAME
    this.chainingKey = NAME
    this.cipher = undefined
    this.#mixHash(EMPTY)
  }

  writeFirst() {
    this.#mixHash(this.ephemeralKey.publicKey)
    return Buffer.concat([this.ephemeralKey.publicKey, this.#seal(EMPTY)])
  }

  readFirst(message) {
    this.remoteEphemeral = message.subarray(0, 32)
    this.#mixHash(this.remoteEphemeral)
    return this.#unseal(message.subarray(32))
  }

  writeSecond(payload) {
    this.#mixHash(this.ephemeralKey.publicKey)
    this.#mixKey(dh(this.ephemeralKey.privateKey, this.remoteEphemeral))
    const sealedKey = this.#seal(this.staticKey.publicKey)
    this.#mixKey(dh(this.staticKey.privateKey, this.remoteEphemeral))
    return Buffer.concat([this.ephemeralKey.publicKey, sealedKey, this.#seal(payload)])
  }

  readSecond(message) {
    this.remoteEphemeral = message.subarray(0, 32)
    this.#mixHash(this.remoteEphemeral)
    this.#mixKey(dh(this.ephemeralKey.privateKey, this.remoteEphemeral))
    this.remoteStatic = this.#unseal(message.subarray(32, 80))
    this.#mixKey(dh(this.ephemeralKey.privateKey, this.remoteStatic))
    return this.#unseal(message.subarray(80))
  }

  writeThird(payload) {
    const sealedKey = this.#seal(this.staticKey.publicKey)
    this.#mixKey(dh(this.staticKey.privateKey, this.remoteEphemeral))
    return Buffer.concat([sealedKey, this.#seal(payload)])
  }

  readThird(message) {
    this.remoteStatic = this.#unseal(message.subarray(0, 48))
    this.#mixKey(dh(this.ephemeralKey.privateKey, this.remoteStatic))
    return this.#unseal(message.subarray(48))
  }

  /** The two directions, ours first. */
  split() {
    const [initiators, responders] = hkdf(this.chainingKey, EMPTY).map(key => new Cipher(key))
    return this.initiator
      ? { sending: initiators, receiving: responders }
      : { sending: responders, receiving: initiators }
  }

  #mixHash(data) {
    this.hash = sha256(this.hash, data)
  }

  #mixKey(material) {
    const [chainingKey, key] = hkdf(this.chainingKey, material)
    this.chainingKey = chainingKey
    this.cipher = new Cipher(key)
  }

  #seal(plain) {
    const sealed = this.cipher?.encrypt(plain, this.hash) ?? plain
    this.#mixHash(sealed)
    return sealed
  }

  #unseal(sealed) {
    const plain = this.cipher?.decrypt(sealed, this.hash) ?? sealed
    this.#mixHash(sealed)
    return plain
  }
}

/** A record on the wire: two bytes of length, then so many bytes. */
export function record(bytes) {
  const length = Buffer.alloc(2)
  length.writeUInt16BE(bytes.length)
  return Buffer.concat([length, bytes])
}
