/** Connections that come about in unusual ways: the other side dies and comes back, or both dial at once. */
import { expectEqual, expectTrue } from '../cell.mjs'
import { OURS } from '../kinds.mjs'
import { complete, exchange } from './echo.mjs'

export const restart = {
  name: 'restart',
  title: 'other side killed and restarted: same port, same key',
  applies: complete,
  run: async cell => {
    const { ours, other, otherKey } = await cell.meet()
    await exchange(ours, other)
    // Messages are under way when it dies. Those that it would have answered do not show that.
    const count = 100
    if (other.kind !== OURS) await other.ask('receive', { acks: 'withhold' })
    const sent = ours.ask('send', { peerId: other.peerId, count, size: 1_000, mode: 'long', window: count })
    await other.kill()
    const { acks, unanswered } = await sent
    expectEqual('outcomes', acks[0] + unanswered, count)
    if (other.kind !== OURS) expectEqual('messages without an answer', unanswered, count)
    await ours.ask('untilDisconnected', { peerId: other.peerId })
    const address = other.address.replace(/\/p2p\/.*/, '')
    const options = { allowList: [{ peerId: ours.peerId }] }
    const again = await cell.start(cell.kind, { key: otherKey, address, options })
    expectEqual('the address', again.address, other.address)
    await cell.dial({ ours, other: again })
    await exchange(ours, again)
  }
}

export const bothDial = {
  name: 'both-dial',
  title: 'both sides dial at once',
  once: true,
  applies: complete,
  run: async (cell, { quick }) => {
    for (let round = 0; round < (quick ? 1 : 5); round++) {
      const { ours, other } = await cell.pair()
      const dials = await Promise.all([
        ours.try('dial', { peerId: other.peerId, address: other.address }),
        other.try('dial', { peerId: ours.peerId, address: ours.address })
      ])
      // One of them may find that there is a connection already, which it may call an error.
      expectTrue(
        `neither dial came about: ${dials[0].error}`,
        dials.some(({ ok }) => ok)
      )
      for (const [peer, { peerId }] of [
        [ours, other],
        [other, ours]
      ]) {
        if (peer.kind === OURS) await peer.ask('untilConnected', { peerId })
      }
      await exchange(ours, other)
      await exchange(ours, other)
      const { buckets } = await ours.ask('inspect')
      expectEqual('charges', buckets, [])
      await Promise.all([ours.kill(), other.kill()])
    }
  }
}
