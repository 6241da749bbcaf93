/** Who gets in: nobody who is not on the list, from nowhere else, and nobody under another's name. */
import { expectEqual, expectTrue, newKey } from '../cell.mjs'
import { OURS } from '../kinds.mjs'
import { exchange, sendAndWeigh } from './echo.mjs'

/** A dial that fails for us as the API says, and costs the address of who dialled us. */
async function denied(cell, pair, cause) {
  const error = await cell.dialInVain(pair)
  const { buckets } = await pair.ours.ask('inspect')
  const causes = buckets.flatMap(({ debits }) => debits.map(debit => debit.cause))
  if (cell.direction === 'in') return expectEqual('charges', causes, [cause])
  expectTrue(`our dial ended with ${error}`, /ERR_NOT_ALLOWED/.test(error))
  expectEqual('charges', causes, [])
}

async function few(cell, { ours, other }) {
  if (other.kind.inbound === 'streams') return exchange(ours, other)
  await sendAndWeigh(other, ours, { count: 3, size: 100, mode: 'single', window: 1 })
}

export const unknown = {
  name: 'unknown-peer',
  title: 'unknown peer denied, then allowed, then removed',
  applies: () => true,
  run: async cell => {
    const pair = await cell.pair({ options: { allowList: [] } })
    const { ours, other } = pair
    await denied(cell, pair, 'unknown-peer')
    await ours.ask('allow', { entry: { peerId: other.peerId } })
    await cell.dial(pair)
    await few(cell, pair)
    const gone = other.ask('untilDisconnected', { peerId: ours.peerId })
    expectEqual('removed', (await ours.ask('remove', { peerId: other.peerId })).removed, true)
    await Promise.all([gone, ours.ask('untilDisconnected', { peerId: other.peerId })])
    await cell.dialInVain(pair)
  }
}

export const deniedByOther = {
  name: 'denied-by-other',
  title: 'unknown peer denied by the other side',
  applies: kind => kind.name === OURS.name,
  run: async cell => {
    const pair = await cell.pair({ otherOptions: { allowList: [] } })
    await cell.dialInVain(pair)
    await pair.other.ask('allow', { entry: { peerId: pair.ours.peerId } })
    await cell.dial(pair)
    await exchange(pair.ours, pair.other)
  }
}

export const wrongIp = {
  name: 'wrong-ip',
  title: 'wrong IP in the list denied, the right one allowed',
  applies: () => true,
  run: async cell => {
    const pair = await cell.pair({ options: { allowList: [] } })
    const { ours, other } = pair
    await ours.ask('allow', { entry: { peerId: other.peerId, ips: ['192.0.2.7', '10.0.0.0/8'] } })
    await denied(cell, pair, 'ip-mismatch')
    await ours.ask('remove', { peerId: other.peerId })
    await ours.ask('allow', { entry: { peerId: other.peerId, ips: ['127.0.0.0/8'] } })
    await cell.dial(pair)
    await few(cell, pair)
  }
}

export const wrongIdentity = {
  name: 'wrong-identity',
  title: 'another node at the dialled address is no success',
  applies: () => true,
  run: async cell => {
    const { ours, other } = await cell.pair()
    const { peerId } = await newKey()
    const [from, to] = cell.direction === 'out' ? [ours, other] : [other, ours]
    if (from.kind === OURS) await from.ask('allow', { entry: { peerId } })
    const address = to.address.replace(/\/p2p\/.*/, '')
    const { ok, error } = await from.try('dial', { peerId, address })
    expectTrue('the dial succeeded', !ok)
    if (from.kind === OURS) expectTrue(`the dial ended with ${error}`, /ERR_PEER_MISMATCH/.test(error))
    await cell.dial({ ours, other })
    await few(cell, { ours, other })
  }
}

const TYPES = ['Ed25519', 'secp256k1', 'RSA']

export const identities = {
  name: 'identities',
  title: 'Ed25519, secp256k1 and RSA identities on both ends',
  applies: () => true,
  run: async (cell, { quick }) => {
    for (const [at, type] of TYPES.entries()) {
      const others = quick ? [type] : [type, TYPES[(at + 1) % TYPES.length]]
      for (const otherType of others) {
        const pair = await cell.meet({ type, otherType })
        await few(cell, pair)
        await Promise.all([pair.ours.kill(), pair.other.kill()])
      }
    }
  }
}
