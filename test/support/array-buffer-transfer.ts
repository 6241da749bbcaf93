/**
 * To be imported before what frees memory early (src/memory/detach.ts): gives Node 20 the `ArrayBuffer.prototype.transfer`
 * that it lacks, so that tests of early freeing run there, too. Later versions keep their own.
 */
if (!('transfer' in ArrayBuffer.prototype)) {
  // oxlint-disable-next-line no-extend-native -- that is what this file is for
  Object.defineProperty(ArrayBuffer.prototype, 'transfer', {
    value(this: ArrayBuffer, length: number): ArrayBuffer {
      structuredClone(this, { transfer: [this] })
      return new ArrayBuffer(length)
    }
  })
}
