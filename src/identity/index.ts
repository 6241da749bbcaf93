export { publicKeyHash, publicKeyHashOf, publicKeyHashOfPeerId } from './key-hash.ts'
export { canonicalPeerId } from './peer-id.ts'
export { decodePrivateKey, generatePrivateKey, peerIdFromPrivateKey, privateKeyBytes } from './private-key.ts'
export type { KeyType, PrivateKeyInput } from './types.ts'
