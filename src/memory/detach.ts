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

const canDetach = (ArrayBuffer.prototype as Transferable).transfer !== undefined

/** What may be freed, and where what is in it ends. */
const once = new WeakMap<ArrayBufferLike, number>()

/**
 * Marks bytes that nobody holds a view of but those they are handed to: the last of those may `detach` them. The memory
 * must be theirs. It may be longer than they are: Node 26 leaves what a socket brought in the 65,536 bytes it was read
 * into, if it is more than three quarters of them. Of memory that Node shares out among small buffers one has half at
 * most (`Buffer.poolSize`), and is not marked.
 */
export function markDetachable(bytes: Uint8Array): Uint8Array {
  const { buffer, byteOffset, length } = bytes
  const isTheirs = byteOffset === 0 && length > buffer.byteLength / 2
  if (canDetach && length >= MIN_BYTES && isTheirs) once.set(buffer, length)
  return bytes
}

/**
 * Frees the memory that bytes stand in, if it was marked and they are the end of what is in it. What stands before them
 * is freed as well: `before` is how many bytes there, at most, are known to be of no use any more. The bytes read as none
 * from now on.
 */
export function detach(bytes: Uint8Array, before: number): void {
  const { buffer, byteOffset, length } = bytes
  if (length === 0 || byteOffset > before) return
  const end = once.get(buffer)
  if (end === undefined || byteOffset + length < end) return
  once.delete(buffer)
  ;(buffer as Transferable).transfer!(0)
}
