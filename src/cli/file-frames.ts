/** Largest message of a file transfer, in bytes. */
export const FILE_MESSAGE_BYTES: number = 1024 * 1024

/** Contents of the file from `offset` on; contents that end at `bytes` with their SHA-256; the receiver's agreement. */
export type FileMessage =
  | { kind: 'chunk'; offset: number; data: Uint8Array }
  | { kind: 'end'; bytes: number; sha256: string }
  | { kind: 'verified'; bytes: number; sha256: string }

const KINDS = ['chunk', 'end', 'verified'] as const
/** Offset or size: 48 bits, up to 256 TiB. */
const NUMBER_BYTES = 6
const SHA256_BYTES = 32
/** Where the contents or the SHA-256 begin. */
export const FILE_HEADER_BYTES: number = 1 + NUMBER_BYTES

/** Writes what stands before the contents of a chunk to the first `FILE_HEADER_BYTES` of `message`. */
export function writeChunkHeader(message: Buffer, offset: number): void {
  message[0] = KINDS.indexOf('chunk')
  message.writeUIntBE(offset, 1, NUMBER_BYTES)
}

/** A message without contents. */
export function encodeEnd(message: Exclude<FileMessage, { kind: 'chunk' }>): Buffer {
  const encoded = Buffer.alloc(FILE_HEADER_BYTES + SHA256_BYTES)
  encoded[0] = KINDS.indexOf(message.kind)
  encoded.writeUIntBE(message.bytes, 1, NUMBER_BYTES)
  encoded.write(message.sha256, FILE_HEADER_BYTES, 'hex')
  return encoded
}

/** Reads a message. @throws Error when it is none of these */
export function decode(data: Uint8Array): FileMessage {
  const kind = KINDS[data[0]!]
  const message = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
  if (kind !== undefined && message.length >= FILE_HEADER_BYTES) {
    const number = message.readUIntBE(1, NUMBER_BYTES)
    const rest = message.subarray(FILE_HEADER_BYTES)
    if (kind === 'chunk') return { kind, offset: number, data: rest }
    if (rest.length === SHA256_BYTES) {
      return { kind, bytes: number, sha256: rest.toString('hex') }
    }
  }
  throw new Error(`a message of ${data.length} bytes is none of a file transfer`)
}
