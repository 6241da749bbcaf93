export { copyInto, copyOf } from './copy.ts'
export { eachPart } from './parts.ts'
export { markDetachable, detach } from './detach.ts'
export { giveSlab, SMALL_BYTES, takeSlab } from './slabs.ts'
