import type { Stream } from '@libp2p/interface'
import { expect, test } from 'vitest'
import { startBarePeer } from '../support/bare-peer.ts'
import { startLocal } from '../support/local-node.ts'

const MIB = 2 ** 20

/** Takes what the first read brings of the first stream, and no more; streams that follow are answered honestly. */
function stopsReading(answer: Uint8Array): (stream: Stream) => void {
  let isFirst = true
  return stream => {
    const acksAll = !isFirst
    isFirst = false
    stream.addEventListener('message', () => {
      if (acksAll) stream.send(Uint8Array.of(1, 0))
      else {
        stream.pause()
        if (answer.length > 0) stream.send(answer)
      }
    })
  }
}

test.for([
  [
    'answers a message of which it has read the beginning',
    Uint8Array.of(1, 1),
    'connection-lost',
    ['malformed-message']
  ],
  ['answers nothing', new Uint8Array(0), 'ack-timeout', []]
] as const)(
  'a receiver that %s and then reads no more leaves no message without a Status',
  async ([, answer, reason, causes]) => {
    const alice = await startLocal({ limits: { messageTimeoutMs: 2_000, ackTimeoutMs: 60_000 } })
    const bare = await startBarePeer({ onStream: stopsReading(answer) })
    alice.dial(bare)
    await alice.event({ type: 'Connected', peerId: bare.peerId })
    const large = alice.sendMsg(bare, new Uint8Array(4 * MIB))
    const next = alice.sendMsg(bare, Buffer.from('behind it'))
    expect(await alice.event({ type: 'Status', id: large })).toMatchObject({ ok: false, reason })
    expect(await alice.event({ type: 'Status', id: next })).toMatchObject({ ok: true })
    const { buckets } = await alice.p2p.runtime.inspectAsync()
    expect(buckets.flatMap(({ debits }) => debits.map(({ cause }) => cause))).toEqual(causes)
    expect(alice.count({ type: 'Disconnected' })).toBe(0)
  }
)
