/** Single cases beside the table of matrix.test.ts: exactly what is charged, and what is not. */
import { generatePrivateKey, peerIdFromPrivateKey } from 'bitvmx-p2p'
import type { P2pEvent, RuntimeSnapshot } from 'bitvmx-p2p'
import { describe, expect, test } from 'vitest'
import { startLocal } from '../support/local-node.ts'
import type { LocalNode } from '../support/local-node.ts'
import { LONG } from '../support/node-process.ts'
import { startAttackers } from './attacker.ts'
import type { Attacker } from './attacker.ts'

const EFFECT_MS = 60_000
const NO_REFILL = { refillPerSecond: 0 }

type Bucket = RuntimeSnapshot['buckets'][number]

async function bucketsOf(node: LocalNode): Promise<Bucket[]> {
  return (await node.p2p.runtime.inspectAsync()).buckets
}

/** The bucket of a peer or an address, once it has so many debits. */
async function bucketOf(node: LocalNode, subject: string, debits: number): Promise<Bucket> {
  let found: Bucket | undefined
  await expect
    .poll(
      async () => {
        found = (await bucketsOf(node)).find(({ ip, peerId }) => (ip ?? peerId) === subject)
        return found?.debits.length ?? 0
      },
      { timeout: EFFECT_MS }
    )
    .toBeGreaterThanOrEqual(debits)
  return found!
}

function limits(node: LocalNode): P2pEvent[] {
  return node.events.filter(({ type }) => type === 'ConnectionLimit')
}

/** Sends a message to a peer that holds its acks back, and has them released. */
async function expectAnswered(node: LocalNode, peer: Attacker): Promise<void> {
  const id = node.sendMsg(peer, Buffer.from('and this?'))
  const released = async (): Promise<number> => {
    await peer.call('release')
    return node.count({ type: 'Status', id, ok: true })
  }
  await expect.poll(released, { timeout: EFFECT_MS }).toBe(1)
}

describe('acks', () => {
  test('a late ack settles nothing twice and costs nothing; the next message is answered in time', async () => {
    const create = startAttackers()
    const node = await startLocal({ rateLimit: NO_REFILL, limits: { ackTimeoutMs: 1_500 } })
    const peer = await create({ target: node.addresses[0]! })
    await peer.call('open', { answer: 'held' })
    const [first, second] = [node.sendMsg(peer, Buffer.from('a')), node.sendMsg(peer, Buffer.from('b'))]
    for (const id of [first, second]) {
      expect(await node.event({ type: 'Status', id })).toMatchObject({ ok: false, reason: 'ack-timeout' })
    }
    await peer.call('release')
    await expectAnswered(node, peer)
    expect(await bucketsOf(node)).toEqual([])
    expect(node.count({ type: 'Status', id: first })).toBe(1)
    expect(node.count({ type: 'Status', id: second })).toBe(1)
    expect(await peer.call('isOpen')).toBe(true)
  })

  test('one that comes later than that settles nothing twice and costs nothing more', async () => {
    const create = startAttackers()
    const node = await startLocal({ rateLimit: NO_REFILL, limits: { ackTimeoutMs: 300 } })
    const peer = await create({ target: node.addresses[0]! })
    await peer.call('open', { answer: 'held' })
    const [first, second] = [node.sendMsg(peer, Buffer.from('a')), node.sendMsg(peer, Buffer.from('b'))]
    const { tokens, debits } = await bucketOf(node, peer.peerId, 2)
    await peer.call('release')
    await expectAnswered(node, peer)
    expect(tokens).toBe(8)
    expect(debits.map(({ cause, cost }) => [cause, cost])).toEqual([
      ['unanswered-ack', 1],
      ['unanswered-ack', 1]
    ])
    expect(node.count({ type: 'Status', id: first })).toBe(1)
    expect(node.count({ type: 'Status', id: second })).toBe(1)
    expect(await peer.call('isOpen')).toBe(true)
  })

  test('a peer that ends the stream instead of answering pays for each end', async () => {
    const create = startAttackers()
    const rateLimit = { ...NO_REFILL, capacity: 2 }
    const node = await startLocal({ rateLimit, limits: { ackTimeoutMs: 300 } })
    const peer = await create({ target: node.addresses[0]! })
    await peer.call('open', { answer: 'ended' })
    for (let paid = 1; paid <= 3; paid++) {
      const id = node.sendMsg(peer, Buffer.from('are you there?'))
      expect(await node.event({ type: 'Status', id })).toMatchObject({ reason: 'connection-lost' })
      await bucketOf(node, peer.peerId, paid)
    }
    const { debits } = await bucketOf(node, peer.peerId, 3)
    expect(debits.map(({ cause, cost }) => [cause, cost])).toEqual([
      ['unanswered-ack', 1],
      ['unanswered-ack', 1],
      ['unanswered-ack', 0]
    ])
    await peer.call('ended')
    expect(limits(node)).toEqual([{ type: 'ConnectionLimit', peerId: peer.peerId, cause: 'unanswered-ack' }])
  })

  test('a peer that is full is honest', async () => {
    const create = startAttackers()
    const node = await startLocal()
    const peer = await create({ target: node.addresses[0]! })
    await peer.call('open', { answer: 'full' })
    const ids = Array.from({ length: 50 }, () => node.sendMsg(peer, Buffer.from('no room?')))
    for (const id of ids) {
      expect(await node.event({ type: 'Status', id })).toMatchObject({ ok: false, reason: 'refused-full' })
    }
    expect(await bucketsOf(node)).toEqual([])
  })

  test('a peer that takes no messages costs the sender its message, and nobody a token', async () => {
    const create = startAttackers()
    const node = await startLocal()
    const peer = await create({ target: node.addresses[0]! })
    await peer.call('open', { answer: 'unknown' })
    const id = node.sendMsg(peer, Buffer.from('do you speak this?'))
    expect(await node.event({ type: 'Status', id })).toMatchObject({ ok: false, reason: 'not-connected' })
    expect(await bucketsOf(node)).toEqual([])
  })
})

describe('streams', () => {
  test('data behind a message above the limit is read by nobody and costs nothing', async () => {
    const create = startAttackers()
    const node = await startLocal({ limits: { maxMessageBytes: 1_000 } })
    const peer = await create({ target: node.addresses[0]! })
    expect(await peer.call('writeAfterRefusal', { length: 1_001 })).toBe(2)
    expect(await peer.call('messages', { count: 1 })).toBe(1)
    expect(await bucketsOf(node)).toEqual([])
    expect(node.count({ type: 'Data' })).toBe(2)
  })

  test('a window of small messages behind one above the limit is read by nobody and costs nothing', async () => {
    const create = startAttackers()
    const node = await startLocal({ limits: { maxMessageBytes: 1_000 } })
    const peer = await create({ target: node.addresses[0]! })
    expect(await peer.call('smallBehindRefusal', { length: 1_001, count: 20_000 })).toBe(2)
    expect(await peer.call('messages', { count: 1 })).toBe(1)
    expect(await bucketsOf(node)).toEqual([])
    expect(node.count({ type: 'Disconnected' })).toBe(0)
  })

  test('a message that ends in the frame that ends its stream is taken and answered', async () => {
    const create = startAttackers()
    const node = await startLocal()
    const peer = await create({ target: node.addresses[0]! })
    expect(await peer.call('lastBytesWithEnd')).toBe(0)
    await node.settled()
    expect(node.events.filter(({ type }) => type === 'Data').at(-1)).toMatchObject({
      data: new Uint8Array([1, 2, 3])
    })
    expect(await bucketsOf(node)).toEqual([])
  })

  test.each([1, 3])(
    'a whole stream that does not wait for its negotiation (%i frames) is answered',
    async frames => {
      const create = startAttackers()
      const node = await startLocal()
      const peer = await create({ target: node.addresses[0]! })
      await peer.call('open')
      for (let i = 0; i < 20; i++) expect(await peer.call('allAtOnce', { frames })).toBe(0)
      await node.settled()
      expect(node.count({ type: 'Data' })).toBe(21)
      expect(await bucketsOf(node)).toEqual([])
    }
  )

  test('what comes behind the end of a stream is for nobody, also before its negotiation is answered', async () => {
    const create = startAttackers()
    const node = await startLocal()
    const peer = await create({ target: node.addresses[0]! })
    await peer.call('open')
    for (let i = 0; i < 20; i++) expect(await peer.call('behindTheEnd')).toBe(0)
    await node.settled()
    const data = node.events.flatMap(event => (event.type === 'Data' ? [event.data] : [])).slice(1)
    expect(data).toEqual(Array.from({ length: 20 }, () => new Uint8Array([7, 7])))
    expect(await bucketsOf(node)).toEqual([])
  })

  test('data on streams whose negotiation is stuck end the connection, whichever stream ends first', async () => {
    const create = startAttackers()
    const node = await startLocal({ limits: { receiverMessages: 1 } })
    const peer = await create({ target: node.addresses[0]! })
    await peer.call('flood', { name: 'data behind negotiations that are stuck', bytes: 200 * 2 ** 20 })
    const { debits } = await bucketOf(node, peer.peerId, 1)
    expect(debits.map(({ cause, evidence }) => [cause, evidence])).toEqual([
      ['protocol-abuse', 'a flood of data on streams without a protocol']
    ])
    // The node has not ended by it.
    await expect.poll(peer.enter, { timeout: EFFECT_MS }).toMatchObject({ admitted: true })
  })

  test.each([0, 1, 2, 77])(
    'a goodbye of the muxer (%i) ends the connection, and costs nothing',
    async code => {
      const create = startAttackers()
      const node = await startLocal()
      const peer = await create({ target: node.addresses[0]! })
      await peer.call('open')
      await peer.call('goAway', { code })
      expect(await node.event({ type: 'Disconnected', peerId: peer.peerId })).toBeDefined()
      expect(await bucketsOf(node)).toEqual([])
      expect((await node.p2p.runtime.inspectAsync()).peers).toEqual([])
    }
  )
})

test('a frame that an orderly end cuts off is paid for, though the connection ends right behind it', async () => {
  const create = startAttackers()
  const node = await startLocal()
  const peer = await create({ target: node.addresses[0]! })
  await peer.call('cutAndLeave')
  const { debits } = await bucketOf(node, peer.peerId, 1)
  expect(debits.map(({ cause, evidence }) => [cause, evidence])).toEqual([
    ['malformed-message', 'the stream ended inside a frame']
  ])
})

describe('who pays', () => {
  test('a dialler that cancels the slower of two dials pays nothing, however far that has come', async () => {
    const create = startAttackers()
    const node = await startLocal({ rateLimit: NO_REFILL })
    const peer = await create({ target: node.addresses[0]!, from: '127.3.0.7' })
    for (let i = 0; i < 16; i++) {
      const dial = { stage: i % 4, reset: i % 8 > 3 }
      expect(await peer.call('dialTwice', dial)).toMatchObject({ admitted: true })
    }
    // By then whoever is to pay has paid: this one, who gives up and nothing else.
    const other = await create({ target: node.addresses[0]!, from: '127.3.0.8' })
    await other.attack('resets after message 2')
    await bucketOf(node, '127.3.0.8', 1)
    expect((await bucketsOf(node)).map(({ ip }) => ip)).toEqual(['127.3.0.8'])
  })

  test('a dialler that gives up one after the other, and never comes in, pays for each', async () => {
    const create = startAttackers()
    const node = await startLocal({ rateLimit: { ...NO_REFILL, capacity: 2 } })
    const peer = await create({ target: node.addresses[0]!, from: '127.3.0.9' })
    for (let i = 0; i < 3; i++) await peer.attack('connects and closes')
    await expect.poll(() => limits(node), { timeout: EFFECT_MS }).toHaveLength(1)
    expect(limits(node)).toEqual([{ type: 'ConnectionLimit', ip: '127.3.0.9', cause: 'failed-handshake' }])
  })

  test('the owner of a key does not pay for who shows up with it elsewhere', async () => {
    const create = startAttackers()
    const key = await generatePrivateKey()
    const allowList = [{ peerId: peerIdFromPrivateKey(key), ips: ['127.3.0.1'] }]
    const node = await startLocal({ allowList, rateLimit: { ...NO_REFILL, capacity: 2 } })
    const owner = await create({ target: node.addresses[0]!, from: '127.3.0.1', key })
    const thief = await create({ target: node.addresses[0]!, from: '127.3.0.2', key })
    await owner.call('open')
    for (let i = 0; i < 3; i++) await thief.attack('shakes hands')
    await expect.poll(() => limits(node), { timeout: EFFECT_MS }).toHaveLength(1)
    expect(limits(node)).toEqual([{ type: 'ConnectionLimit', ip: '127.3.0.2', cause: 'ip-mismatch' }])
    expect(await owner.call('messages', { count: 5 })).toBe(5)
    expect((await bucketsOf(node)).map(({ ip }) => ip)).toEqual(['127.3.0.2'])
    expect(node.count({ type: 'Disconnected' })).toBe(0)
  })

  test('a barred address keeps what a named peer holds from it, and gets nothing new', async () => {
    const create = startAttackers()
    const node = await startLocal({ rateLimit: { ...NO_REFILL, capacity: 2 } })
    const from = '127.3.0.3'
    const named = await create({ target: node.addresses[0]!, from })
    const stranger = await create({ target: node.addresses[0]!, from })
    await named.call('open')
    for (let i = 0; i < 3; i++) await stranger.attack('speaks HTTP')
    await expect.poll(() => limits(node), { timeout: EFFECT_MS }).toHaveLength(1)
    expect(await named.call('messages', { count: 5 })).toBe(5)
    expect(await (await create({ target: node.addresses[0]!, from })).enter()).toMatchObject({
      admitted: false,
      bytes: 0
    })
    expect(node.count({ type: 'Disconnected' })).toBe(0)
  })

  test('handshakes under way from an address end when it is barred', async () => {
    const create = startAttackers()
    const node = await startLocal({ rateLimit: { ...NO_REFILL, capacity: 2 } })
    const from = '127.3.0.4'
    const silent = await Promise.all(
      Array.from({ length: 10 }, async () => create({ target: node.addresses[0]!, from }))
    )
    await Promise.all(silent.map(async one => one.call('linger')))
    for (let i = 0; i < 3; i++) await silent[0]!.attack('speaks HTTP')
    await Promise.all(silent.map(async one => one.call('ended')))
    expect((await bucketOf(node, from, 3)).debits).toHaveLength(3)
    expect(limits(node)).toHaveLength(1)
  })

  test('a peer that knocks on and on while its peer ID is barred makes its address pay', async () => {
    const create = startAttackers()
    const node = await startLocal({ rateLimit: { ...NO_REFILL, capacity: 2 } })
    const from = '127.3.0.5'
    const peer = await create({ target: node.addresses[0]!, from })
    for (let i = 0; i < 3; i++) await peer.attack('a length that is not minimal')
    await expect.poll(() => limits(node), { timeout: EFFECT_MS }).toHaveLength(1)
    // Some attempts are free, with a rate of their own; none of them is let in.
    let attempts = 0
    while (limits(node).length < 2 && attempts < 1_000) {
      attempts++
      expect((await peer.enter()).admitted).toBe(false)
    }
    expect(attempts).toBeGreaterThan(32)
    expect(limits(node)[1]).toEqual({ type: 'ConnectionLimit', ip: from, cause: 'protocol-abuse' })
    expect(await peer.enter()).toMatchObject({ admitted: false, bytes: 0 })
    expect((await bucketOf(node, peer.peerId, 3)).debits).toHaveLength(3)
  })

  test('an address that holds all its places under way keeps nobody else out', async () => {
    const create = startAttackers()
    const node = await startLocal()
    const crowd = await Promise.all(
      Array.from({ length: 80 }, async () => create({ target: node.addresses[0]!, from: '127.3.0.6' }))
    )
    await Promise.all(crowd.map(async one => one.call('linger')))
    expect(await (await create({ target: node.addresses[0]! })).enter()).toMatchObject({ admitted: true })
    // The 65th and later were turned away without a charge.
    await expect
      .poll(() => node.count({ type: 'Error', code: 'ERR_NOT_ALLOWED' }), { timeout: EFFECT_MS })
      .toBe(1)
    expect(await bucketsOf(node)).toEqual([])
  })

  test('networks that hold all places keep nobody else out', async () => {
    const create = startAttackers()
    const node = await startLocal({ rateLimit: NO_REFILL })
    const target = node.addresses[0]!
    const crowd = await Promise.all(
      Array.from({ length: 320 }, async (_, i) => create({ target, from: `127.6.${i % 5}.1` }))
    )
    await Promise.all(crowd.map(async one => one.call('linger')))
    await crowd[0]!.call('accepted')
    for (let i = 0; i < 5; i++) {
      expect(await (await create({ target })).enter()).toMatchObject({ admitted: true })
    }
    expect(limits(node)).toEqual([])
    expect((await bucketsOf(node)).filter(({ ip }) => ip === '127.0.0.1')).toEqual([])
  })

  test(
    'a peer that connects again and again pays in the end',
    { skip: !LONG, timeout: 300_000 },
    async () => {
      const create = startAttackers()
      const node = await startLocal({ rateLimit: { ...NO_REFILL, capacity: 2 } })
      const peer = await create({ target: node.addresses[0]! })
      let entered = 0
      while ((await peer.enter()).admitted && entered < 20_000) entered++
      expect(entered).toBeGreaterThan(512)
      expect(limits(node)).toEqual([
        { type: 'ConnectionLimit', peerId: peer.peerId, cause: 'protocol-abuse' }
      ])
    }
  )
})

describe('message 3 of the handshake', () => {
  test('cut after any number of bytes it costs the address one token', { timeout: 300_000 }, async () => {
    const create = startAttackers()
    const node = await startLocal({ rateLimit: NO_REFILL })
    const cut = async (count: number): Promise<number> => {
      const from = `127.4.${count >> 8}.${(count & 0xff) + 1}`
      const peer = await create({ target: node.addresses[0]!, from })
      const length = await peer.call<number>('cutThird', { count })
      const { tokens, debits } = await bucketOf(node, from, 1)
      expect({ count, tokens, causes: debits.map(({ cause }) => cause) }).toEqual({
        count,
        tokens: 9,
        causes: ['failed-handshake']
      })
      return length
    }
    const length = await cut(0)
    const counts = Array.from({ length: length - 1 }, (_, i) => i + 1)
    const chosen = LONG ? counts : counts.filter(n => n < 4 || n % 16 === 0 || n === 49 || n > length - 3)
    for (let at = 0; at < chosen.length; at += 8) await Promise.all(chosen.slice(at, at + 8).map(cut))
    expect(limits(node)).toEqual([])
    expect(await bucketsOf(node)).toHaveLength(chosen.length + 1)
  })
})
