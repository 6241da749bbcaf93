import type { MessageStream } from '@libp2p/interface'
import type { Uint8ArrayList } from 'uint8arraylist'

/** Longest Noise record; as a length, it is also more than what is there when its two bytes are not. */
const MAX_RECORD_BYTES = 65_535
/** Upstream hands longer records to OpenSSL, which makes a buffer of its own for what it decrypts. */
const MIN_NATIVE_BYTES = 1_200

/** The parts of upstream's encrypted connection that are used here. */
interface EncryptedConnection extends MessageStream {
  decoder: { lengthDecoder: (data: Uint8ArrayList) => number }
  handshake: { decrypt: (record: Uint8ArrayList) => Uint8Array | Uint8ArrayList }
  decrypt: (record: Uint8ArrayList) => Uint8Array | Uint8ArrayList
}

/**
 * Reads Noise records in the place of upstream, which passes over any number of records of 0 bytes, though they hold no
 * tag and so do not decode; throws an error at the end of every read; and copies each record to have a place for what is
 * decrypted, though only short ones are decrypted into it.
 */
export function tuneRecords(connection: MessageStream): void {
  const encrypted = connection as EncryptedConnection
  encrypted.decoder.lengthDecoder = data => {
    if (data.byteLength < 2) return MAX_RECORD_BYTES
    const length = (data.get(0) << 8) | data.get(1)
    if (length === 0) throw new Error('a Noise record of 0 bytes')
    return length
  }
  const decryptShort = encrypted.decrypt.bind(encrypted)
  encrypted.decrypt = record =>
    record.byteLength < MIN_NATIVE_BYTES ? decryptShort(record) : encrypted.handshake.decrypt(record)
}
