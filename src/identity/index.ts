export { canonicalPeerId } from './peer-id.ts'
