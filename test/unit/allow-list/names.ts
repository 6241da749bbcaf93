import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import * as fc from 'fast-check'
import { P2pError } from '../../../src/errors.ts'
import type { AllowListContent, AllowListEntry } from '../../../src/allow-list/index.ts'

async function peer(byte: number): Promise<string> {
  const key = await generateKeyPairFromSeed('Ed25519', new Uint8Array(32).fill(byte))
  return peerIdFromPrivateKey(key).toString()
}

export const ALICE: string = await peer(1)
export const BOB: string = await peer(2)
export const CAROL: string = await peer(3)
/** an RSA peer ID, and the same as a CIDv1 in base32 */
export const RSA = 'QmcgpsyWgH8Y8ajJz1Cu72KnS5uo2Aa2LpzU7kinSupNKC'
export const RSA_CID = 'bafzbeigvf25ytwc3akrijfecaotc74udrhcxzh2cx3we5qqnw5vgrei4bm'
/** a key hash, which is nobody's above */
export const HASH: string = '3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29'

const peers = await Promise.all(Array.from({ length: 32 }, (_, index) => peer(index + 10)))
const hashes = fc.oneof(
  fc.stringMatching(/^[\da-f]{64}$/),
  // what other readers of YAML take for a number
  fc.stringMatching(/^\d{64}$/),
  fc.stringMatching(/^\d{10}e\d{53}$/),
  fc.stringMatching(/^0b[01]{62}$/)
)

const width = (ip: string): number => (ip.includes(':') ? 128 : 32)
export const ipTexts: fc.Arbitrary<string> = fc
  .oneof(
    fc.ipV4(),
    fc.ipV6().filter(ip => !/ffff:[\d.]+$|^::$/i.test(ip))
  )
  .chain(ip =>
    fc.oneof(
      fc.constant(ip),
      fc.integer({ min: 0, max: width(ip) }).map(bits => `${ip}/${bits}`)
    )
  )

export const entries: fc.Arbitrary<AllowListEntry[]> = fc.uniqueArray(
  fc.record(
    {
      peerId: fc.oneof(fc.constantFrom(...peers), hashes),
      ips: fc.array(ipTexts, { minLength: 1, maxLength: 5 })
    },
    { requiredKeys: ['peerId'] }
  ),
  { selector: entry => entry.peerId, maxLength: 20 }
)
export const contents: fc.Arbitrary<AllowListContent> = fc.oneof(
  { weight: 1, arbitrary: fc.constant('allow-all' as const) },
  { weight: 20, arbitrary: entries }
)

/** The error that `work` throws. */
export function thrown(work: () => unknown): P2pError {
  try {
    work()
  } catch (err) {
    if (err instanceof P2pError) return err
    throw err
  }
  throw new Error('nothing was thrown')
}
