import type { ConnectionGater, MultiaddrConnection, PeerId } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { describe, expect, it } from 'vitest'
import { AllowList } from '../../../src/allow-list/index.ts'
import type { AllowListContent } from '../../../src/allow-list/index.ts'
import { createGater, denialText } from '../../../src/gater/index.ts'
import type { Denial } from '../../../src/gater/index.ts'
import { publicKeyHashOfPeerId } from '../../../src/identity/index.ts'
import { ALICE, BOB, CAROL, HASH, RSA } from '../allow-list/names.ts'

const HERE = '/ip4/10.0.0.7/tcp/4001'
const ELSEWHERE = '/ip4/10.0.0.8/tcp/4001'
/** An address that is no IP. */
const NAME = '/dns4/node.example/tcp/4001'

function at(address: string): MultiaddrConnection {
  return { remoteAddr: multiaddr(address) } as unknown as MultiaddrConnection
}

/** A gater, and what it has told. */
class Scene {
  readonly barred = new Set<string>()
  readonly denials: Array<[Denial, MultiaddrConnection | undefined]> = []
  readonly allowList: AllowList
  readonly gater: Required<ConnectionGater>

  constructor(list: AllowListContent) {
    this.allowList = new AllowList(list)
    this.gater = createGater({
      allowList: this.allowList,
      isBarred: key => this.barred.has(key),
      denied: (denial, connection) => this.denials.push([denial, connection])
    })
  }

  /** The denial that was told last, which is taken. */
  takeDenial(): Denial | undefined {
    return this.denials.pop()?.[0]
  }
}

const alice = peerIdFromString(ALICE)
const bob = peerIdFromString(BOB)
const INBOUND = ['denyInboundEncryptedConnection', 'denyInboundUpgradedConnection'] as const
const OUTBOUND = ['denyOutboundEncryptedConnection', 'denyOutboundUpgradedConnection'] as const

describe.each(INBOUND)('a peer that connects (%s)', hook => {
  it('comes in from where the allow list has it', () => {
    const { gater, denials } = new Scene([{ peerId: ALICE, ips: ['10.0.0.7'] }])
    expect(gater[hook](alice, at(HERE))).toBe(false)
    expect(denials).toEqual([])
  })

  it('is denied and told with its connection when it is not on the list', () => {
    const { gater, denials } = new Scene([{ peerId: ALICE }])
    const connection = at(HERE)
    expect(gater[hook](bob, connection)).toBe(true)
    expect(denials).toEqual([
      [{ reason: 'unknown-peer', direction: 'inbound', peerId: BOB, ip: '10.0.0.7' }, connection]
    ])
    expect(denials[0]![1]).toBe(connection)
  })

  it('is denied from another address, or one that is not known', () => {
    const scene = new Scene([{ peerId: ALICE, ips: ['10.0.0.7'] }])
    expect(scene.gater[hook](alice, at(ELSEWHERE))).toBe(true)
    expect(scene.takeDenial()).toEqual({
      reason: 'wrong-address',
      direction: 'inbound',
      peerId: ALICE,
      ip: '10.0.0.8'
    })
    expect(scene.gater[hook](alice, at(NAME))).toBe(true)
    expect(scene.takeDenial()).toEqual({ reason: 'wrong-address', direction: 'inbound', peerId: ALICE })
  })

  it('is denied while it is barred, and its address alone bars nobody here', () => {
    const scene = new Scene([{ peerId: ALICE }])
    scene.barred.add('10.0.0.7')
    expect(scene.gater[hook](alice, at(HERE))).toBe(false)
    scene.barred.add(ALICE)
    expect(scene.gater[hook](alice, at(HERE))).toBe(true)
    expect(scene.takeDenial()).toMatchObject({ reason: 'barred', peerId: ALICE })
  })

  it('is asked about anew each time: what was allowed before the list changed is not', () => {
    const scene = new Scene([{ peerId: ALICE }])
    expect(scene.gater[hook](alice, at(HERE))).toBe(false)
    scene.allowList.remove(ALICE)
    expect(scene.gater[hook](alice, at(HERE))).toBe(true)
    expect(scene.takeDenial()).toMatchObject({ reason: 'unknown-peer' })
  })

  it('comes in by its key hash, when its peer ID contains the key', () => {
    const { gater } = new Scene([{ peerId: publicKeyHashOfPeerId(ALICE)! }])
    expect(gater[hook](alice, at(HERE))).toBe(false)
    expect(gater[hook]({ toString: () => ALICE } as unknown as PeerId, at(HERE))).toBe(true)
  })
})

describe.each(OUTBOUND)('a peer that was dialled (%s)', hook => {
  const to = (peerId: string, address = HERE): MultiaddrConnection => at(`${address}/p2p/${peerId}`)

  it('passes when it is the one that was dialled', () => {
    const { gater, denials } = new Scene([{ peerId: ALICE }])
    expect(gater[hook](alice, to(ALICE))).toBe(false)
    expect(denials).toEqual([])
  })

  it('is denied when it is another, also one that is allowed', () => {
    const scene = new Scene([{ peerId: ALICE }, { peerId: BOB }])
    expect(scene.gater[hook](bob, to(ALICE))).toBe(true)
    expect(scene.takeDenial()).toEqual({
      reason: 'peer-mismatch',
      direction: 'outbound',
      peerId: BOB,
      expected: ALICE,
      ip: '10.0.0.7'
    })
    // By the last peer ID of the address.
    expect(scene.gater[hook](alice, at(`${HERE}/p2p/${BOB}/p2p/${ALICE}`))).toBe(false)
    expect(scene.gater[hook](alice, at(HERE))).toBe(true)
    expect(scene.takeDenial()).toMatchObject({ reason: 'peer-mismatch' })
  })

  it('is denied when the allow list does not allow it there', () => {
    const scene = new Scene([{ peerId: ALICE, ips: ['10.0.0.7'] }])
    expect(scene.gater[hook](alice, to(ALICE, ELSEWHERE))).toBe(true)
    expect(scene.takeDenial()).toMatchObject({ reason: 'wrong-address', expected: ALICE, ip: '10.0.0.8' })
    expect(scene.gater[hook](bob, to(BOB))).toBe(true)
    expect(scene.takeDenial()).toMatchObject({ reason: 'unknown-peer', expected: BOB })
  })

  it('is denied while it is barred', () => {
    const scene = new Scene('allow-all')
    scene.barred.add(ALICE)
    expect(scene.gater[hook](alice, to(ALICE))).toBe(true)
    expect(scene.takeDenial()).toMatchObject({ reason: 'barred', direction: 'outbound' })
  })
})

describe('before a connection', () => {
  it('a peer is dialled when the list may know it and it is not barred', () => {
    const scene = new Scene([{ peerId: ALICE, ips: ['10.0.0.7'] }])
    expect(scene.gater.denyDialPeer(alice)).toBe(false)
    expect(scene.gater.denyDialPeer(bob)).toBe(true)
    scene.barred.add(ALICE)
    expect(scene.gater.denyDialPeer(alice)).toBe(true)
    expect(scene.denials).toEqual([])
  })

  it('a peer whose key only the handshake tells is dialled when the list has a key hash', () => {
    const rsa = peerIdFromString(RSA)
    expect(new Scene([{ peerId: HASH }]).gater.denyDialPeer(rsa)).toBe(false)
    expect(new Scene([{ peerId: ALICE }]).gater.denyDialPeer(rsa)).toBe(true)
    const { gater } = new Scene([{ peerId: HASH }])
    expect(gater.denyDialPeer(alice)).toBe(true)
  })

  it('only addresses with a peer ID are dialled', () => {
    const { gater } = new Scene('allow-all')
    expect(gater.denyDialMultiaddr(multiaddr(HERE))).toBe(true)
    expect(gater.denyDialMultiaddr(multiaddr(`${HERE}/p2p/${CAROL}`))).toBe(false)
  })

  it('a socket to an address where the peer must not be is denied, before the handshake', () => {
    const scene = new Scene([{ peerId: ALICE, ips: ['10.0.0.7'] }])
    const { gater } = scene
    expect(gater.denyOutboundConnection(alice, at(HERE))).toBe(false)
    const connection = at(ELSEWHERE)
    expect(gater.denyOutboundConnection(alice, connection)).toBe(true)
    expect(scene.denials).toEqual([
      [
        { reason: 'wrong-address', direction: 'outbound', peerId: ALICE, expected: ALICE, ip: '10.0.0.8' },
        connection
      ]
    ])
    scene.denials.length = 0
    expect(gater.denyOutboundConnection(alice, at(NAME))).toBe(true)
    expect(scene.takeDenial()).toEqual({
      reason: 'wrong-address',
      direction: 'outbound',
      peerId: ALICE,
      expected: ALICE
    })
    // Whether the peer is on the list at all was asked before: `denyDialPeer`.
    expect(gater.denyOutboundConnection(bob, at(HERE))).toBe(false)
  })

  it('a barred address is turned away before anything is read; an IPv6 address with its /64', () => {
    const scene = new Scene('allow-all')
    const { gater } = scene
    expect(gater.denyInboundConnection(at(HERE))).toBe(false)
    scene.barred.add('10.0.0.7')
    const connection = at(HERE)
    expect(gater.denyInboundConnection(connection)).toBe(true)
    expect(scene.denials).toEqual([[{ reason: 'barred', direction: 'inbound', ip: '10.0.0.7' }, connection]])
    scene.barred.add('2001:db8:1:2::/64')
    expect(gater.denyInboundConnection(at('/ip6/2001:db8:1:2::9/tcp/1'))).toBe(true)
    expect(gater.denyInboundConnection(at('/ip6/2001:db8:1:3::9/tcp/1'))).toBe(false)
    expect(gater.denyInboundConnection(at(NAME))).toBe(false)
  })
})

it('there are no relays, and no addresses of peers are kept', async () => {
  const { gater } = new Scene('allow-all')
  expect(gater.denyInboundRelayReservation(alice)).toBe(true)
  expect(gater.denyOutboundRelayedConnection(alice, bob)).toBe(true)
  expect(gater.denyInboundRelayedConnection(alice, bob)).toBe(true)
  expect(await gater.filterMultiaddrForPeer(alice, multiaddr(HERE))).toBe(false)
})

it('a denial in words names who, and where', () => {
  const direction = 'inbound'
  const about = { direction, peerId: ALICE, ip: '10.0.0.7' } as const
  expect(denialText({ reason: 'unknown-peer', ...about })).toBe(`${ALICE} is not on the allow list`)
  expect(denialText({ reason: 'wrong-address', ...about })).toBe(
    `${ALICE} is on the allow list, but not at 10.0.0.7`
  )
  expect(denialText({ reason: 'wrong-address', direction, peerId: ALICE })).toMatch(
    /not at an unknown address$/
  )
  expect(denialText({ reason: 'barred', ...about })).toBe(`${ALICE} is barred: its token bucket is empty`)
  expect(denialText({ reason: 'barred', direction, ip: '10.0.0.7' })).toMatch(/^10\.0\.0\.7 is barred/)
  expect(denialText({ reason: 'peer-mismatch', ...about })).toBe(`the node at 10.0.0.7 is ${ALICE}`)
  expect(denialText({ reason: 'peer-mismatch', direction, peerId: ALICE })).toBe(
    `the node at the address is ${ALICE}`
  )
})
