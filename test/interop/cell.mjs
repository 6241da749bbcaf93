/** What a scenario works with: fresh processes with fresh keys for one cell of the matrix. */
import { generatePrivateKey, peerIdFromPrivateKey } from '../../dist/index.js'
import { OURS } from './kinds.mjs'
import { Peer } from './peers.mjs'

const ANY_PORT = '/ip4/127.0.0.1/tcp/0'

/** A key of that type, and the peer ID that goes with it. */
export async function newKey(type = 'Ed25519') {
  const key = Buffer.from(await generatePrivateKey(type)).toString('hex')
  return { key, peerId: peerIdFromPrivateKey(key) }
}

export class Cell {
  /** Lines worth reporting beside the mark. */
  notes = []
  #peers = []
  #over = false

  /** @param direction who dials: 'out' is our module, 'in' the other side */
  constructor(kind, direction) {
    this.kind = kind
    this.direction = direction
  }

  /** Starts a peer that listens. */
  async start(kind, { key, address = ANY_PORT, options }) {
    const args = kind === OURS ? ['--options', JSON.stringify(options ?? {})] : []
    const peer = await Peer.start(kind, { key, args })
    this.#peers.push(peer)
    if (this.#over) await this.end()
    const { addresses } = await peer.ask('listen', { address })
    peer.address = addresses[0]
    return peer
  }

  /** Starts our node, which allows the other, and the other, which allows our node if it has a list of its own. */
  async pair({ options, otherOptions, type, otherType = type } = {}) {
    const keys = [await newKey(type), await newKey(otherType)]
    const allow = ({ peerId }) => ({ allowList: [{ peerId }] })
    const [ours, other] = await Promise.all([
      this.start(OURS, { key: keys[0].key, options: { ...allow(keys[1]), ...options } }),
      this.start(this.kind, { key: keys[1].key, options: { ...allow(keys[0]), ...otherOptions } })
    ])
    expectEqual('peer ID', other.peerId, keys[1].peerId)
    return { ours, other, otherKey: keys[1].key }
  }

  /** The same, and they are connected; the time the dial took is noted. */
  async meet(init) {
    const pair = await this.pair(init)
    const start = performance.now()
    await this.dial(pair)
    return { ...pair, dialMs: performance.now() - start }
  }

  /** Dials in the direction of the cell, until both sides regard themselves as connected. */
  async dial({ ours, other }) {
    const [from, to] = this.direction === 'out' ? [ours, other] : [other, ours]
    await from.ask('dial', { peerId: to.peerId, address: to.address })
    for (const [peer, { peerId }] of [
      [ours, other],
      [other, ours]
    ]) {
      if (peer.kind === OURS) await peer.ask('untilConnected', { peerId })
    }
  }

  /** The same dial, which must not come about. */
  async dialInVain({ ours, other }) {
    const [from, to] = this.direction === 'out' ? [ours, other] : [other, ours]
    const { ok, error } = await from.try('dial', { peerId: to.peerId, address: to.address })
    if (ok) throw new Error('the dial succeeded')
    return error
  }

  async end() {
    this.#over = true
    await Promise.all(this.#peers.map(async peer => peer.kill()))
  }
}

/** @throws when they differ */
export function expectEqual(what, is, should) {
  const [left, right] = [JSON.stringify(is), JSON.stringify(should)]
  if (left !== right) throw new Error(`${what}: ${left}, should be ${right}`)
}

/** @throws when it does not hold */
export function expectTrue(what, holds) {
  if (!holds) throw new Error(what)
}
