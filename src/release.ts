/**
 * Memory that is filled once and read once: what a socket brings, and what OpenSSL gives out for a Noise record. Left to
 * V8, it lies about until enough of it has gathered for a collection of the whole heap; freed by its last reader, it is
 * still in the caches when the next read or record takes its place (docs/decisions/0012).
 */

/** ES2024. Node 20 does not have it: there the garbage collector frees. */
interface Transferable {
  transfer?: (length: number) => ArrayBuffer
}

/** Freeing what is shorter costs more than it saves. */
const MIN_BYTES = 8 * 1024

const canRelease = (ArrayBuffer.prototype as Transferable).transfer !== undefined

/** What may be freed. */
const once = new WeakSet<ArrayBufferLike>()

/** Marks bytes that nobody holds a view of but those they are handed to: the last of those may `release` them. */
export function readOnce(bytes: Uint8Array): Uint8Array {
  const { buffer, length } = bytes
  if (canRelease && length >= MIN_BYTES && length === buffer.byteLength) once.add(buffer)
  return bytes
}

/**
 * Frees the memory that bytes stand in, if it was marked and they are the end of it. What stands before them is freed
 * as well: `before` is how many bytes there, at most, are known to be of no use any more. The bytes read as none from
 * now on.
 */
export function release(bytes: Uint8Array, before: number): void {
  const { buffer, byteOffset, length } = bytes
  if (length === 0 || byteOffset > before || byteOffset + length < buffer.byteLength) return
  if (once.delete(buffer)) (buffer as Transferable).transfer!(0)
}
