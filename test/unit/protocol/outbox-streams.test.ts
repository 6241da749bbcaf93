import { describe, expect, it } from 'vitest'
import { numbersOn, open, Scene, upTo } from './outbox-scene.ts'
import { acks, deferred, TestStream, turn } from './support.ts'

describe('opening a stream', () => {
  it('that fails ends everything that waits as not connected', async () => {
    const scene = new Scene()
    scene.openings.push(Promise.reject(new Error('no way')))
    await scene.sendSome(3)
    expect(scene.outcomes).toEqual(['not-connected', 'not-connected', 'not-connected'])
    await scene.sendSome(1)
    expect(numbersOn(scene.stream)).toEqual([3])
  })

  it('happens once, however much is sent meanwhile', async () => {
    const scene = new Scene()
    const stream = new TestStream()
    const opening = deferred<TestStream>()
    scene.openings.push(opening.promise)
    for (let i = 0; i < 5; i++) await scene.sendSome(2)
    expect(scene.opened).toBe(1)
    opening.resolve(stream)
    await turn()
    expect(numbersOn(stream)).toEqual(upTo(10))
  })

  it('that comes to a stream which has ended already does not leave messages waiting for ever', async () => {
    const reset = new TestStream()
    reset.receiveReset()
    const ended = new TestStream()
    ended.receiveEnd()
    for (const stream of [reset, ended]) {
      const scene = new Scene()
      scene.openings.push(Promise.resolve(stream))
      await scene.sendSome(2)
      expect(scene.outcomes).toEqual(['not-connected', 'not-connected'])
      expect(stream.status).not.toBe('open')
    }
  })

  it('again is tried for what was not written when a new stream is reset at once', async () => {
    const scene = await open({ windowMessages: 1 }, 4)
    for (let i = 0; i < 4; i++) {
      scene.stream.receiveReset()
      await turn()
    }
    expect(scene.outcomes).toEqual(upTo(4).map(() => 'connection-lost'))
    expect(scene.opened).toBe(4)
  })

  it('from before a disconnect says nothing about messages since', async () => {
    const scene = new Scene()
    const opening = deferred<TestStream>()
    scene.openings.push(opening.promise)
    await scene.sendSome(1)
    scene.outbox.disconnect()
    expect(scene.outcomes).toEqual(['not-connected'])
    await scene.sendSome(1)
    opening.reject(new Error('the old connection ended'))
    await turn()
    expect(numbersOn(scene.stream)).toEqual([1])
    scene.stream.receive(acks(0))
    expect(scene.outcomes).toEqual(['not-connected', undefined])
  })

  it('from before a disconnect that fails says nothing about the attempt since', async () => {
    const scene = new Scene()
    const [old, current] = [deferred<TestStream>(), deferred<TestStream>()]
    scene.openings.push(old.promise, current.promise)
    await scene.sendSome(1)
    scene.outbox.disconnect()
    await scene.sendSome(1)
    old.reject(new Error('the old connection ended'))
    await turn()
    expect(scene.outcomes).toEqual(['not-connected'])
    current.resolve(new TestStream())
    await turn()
    expect(numbersOn(scene.stream)).toEqual([1])
  })

  it('that fails when there is a stream by then does no harm to what is on it', async () => {
    const scene = new Scene()
    const opening = deferred<TestStream>()
    scene.openings.push(opening.promise)
    await scene.sendSome(2)
    const stream = new TestStream()
    scene.outbox.attach(stream)
    opening.reject(new Error('no way'))
    await turn()
    expect(stream.wasReset).toBe(false)
    stream.receive(acks(0, 0))
    expect(scene.outcomes).toEqual([undefined, undefined])
  })

  it('from before a disconnect that succeeds after all is given up', async () => {
    const scene = new Scene()
    const old = new TestStream()
    const opening = deferred<TestStream>()
    scene.openings.push(opening.promise)
    await scene.sendSome(1)
    scene.outbox.disconnect()
    opening.resolve(old)
    await turn()
    expect(old.wasReset).toBe(true)
    expect(scene.outbox.stream).toBeUndefined()
  })
})

describe('attach', () => {
  it('uses the stream for what waits, and gives up the one that is being opened', async () => {
    const scene = new Scene()
    const late = new TestStream()
    const opening = deferred<TestStream>()
    scene.openings.push(opening.promise)
    await scene.sendSome(2)
    const stream = new TestStream()
    scene.outbox.attach(stream)
    expect(numbersOn(stream)).toEqual([0, 1])
    opening.resolve(late)
    await turn()
    expect(late.wasReset).toBe(true)
    expect(scene.outbox.stream).toBe(stream)
    stream.receive(acks(0, 0))
    expect(scene.outcomes).toEqual([undefined, undefined])
  })

  it('refuses a second stream, and one that has ended', async () => {
    const scene = await open({}, 1)
    const { stream } = scene
    const second = new TestStream()
    scene.outbox.attach(second)
    expect(second.wasReset).toBe(true)
    expect(scene.outbox.stream).toBe(stream)

    const other = new Scene()
    const ended = new TestStream()
    ended.receiveEnd()
    other.outbox.attach(ended)
    expect(other.outbox.stream).toBeUndefined()
    expect(ended.wasReset).toBe(true)
  })
})

describe('the end of a stream', () => {
  it.each([
    ['a reset by the remote', (stream: TestStream) => stream.receiveReset()],
    ['the end of the connection', (stream: TestStream) => stream.onTransportClosed()],
    ['a failed connection', (stream: TestStream) => stream.onTransportClosed(new Error('ECONNRESET'))],
    ['an orderly end', (stream: TestStream) => stream.receiveEnd()]
  ])('%s leaves what is in flight unknown; the rest goes on, on a new stream', async (_, end) => {
    const scene = await open({ windowMessages: 3 }, 5)
    scene.stream.receive(acks(0))
    expect(numbersOn(scene.stream)).toEqual([0, 1, 2, 3])
    end(scene.stream)
    await turn()
    expect(scene.outcomes).toEqual([undefined, 'connection-lost', 'connection-lost', 'connection-lost'])
    expect(scene.streams).toHaveLength(2)
    expect(numbersOn(scene.stream)).toEqual([4])
    scene.stream.receive(acks(0))
    expect(scene.outcomes).toHaveLength(5)
    expect(scene.malformed).toEqual([])
  })

  it.each([1, 3])('in an orderly way is told when none of %i messages was answered, once', async count => {
    const scene = await open({}, count)
    scene.stream.receiveEnd()
    await turn()
    expect(scene.endedEarly).toEqual([scene.stream])
    expect(scene.unanswered).toBe(0)
  })

  it.each([
    ['behind the last ack', (scene: Scene) => scene.stream.receiveEnd(acks(0, 0))],
    [
      'behind one ack, as of who takes one message a stream,',
      (scene: Scene) => scene.stream.receiveEnd(acks(0))
    ],
    ['behind a refusal as too large', (scene: Scene) => scene.stream.receiveEnd(acks(2))],
    [
      'when all that is unanswered has been told as such',
      (scene: Scene) => {
        scene.clock.advance(1_000)
        scene.stream.receiveEnd()
      }
    ],
    ['by the connection', (scene: Scene) => scene.stream.onTransportClosed()],
    ['by a reset', (scene: Scene) => scene.stream.receiveReset()]
  ])('%s is not told', async (_, end) => {
    const scene = await open({}, 2)
    end(scene)
    await turn()
    expect(scene.endedEarly).toEqual([])
  })

  it('with nothing in flight is the remote’s right; the next message opens another', async () => {
    const scene = await open({}, 1)
    scene.stream.receive(acks(0))
    scene.stream.receiveEnd()
    await turn()
    expect(scene.opened).toBe(1)
    expect(scene.outbox.stream).toBeUndefined()
    await scene.sendSome(1)
    expect(scene.opened).toBe(2)
    expect(numbersOn(scene.stream)).toEqual([1])
    expect(scene.malformed).toEqual([])
  })

  it('has the acks on the next one awaited as well', async () => {
    const scene = await open({}, 1)
    scene.stream.receiveReset()
    await scene.sendSome(1)
    scene.clock.advance(1_000)
    expect(scene.outcomes).toEqual(['connection-lost', 'ack-timeout'])
  })

  it('while acks were being awaited leaves no timer behind', async () => {
    const scene = await open({}, 3)
    expect(scene.clock.armed).toBe(1)
    scene.stream.receiveReset()
    await turn()
    expect(scene.clock.armed).toBe(0)
    scene.clock.advance(10_000)
    expect(scene.outcomes).toHaveLength(3)
    expect(scene.unanswered).toBe(0)
  })

  it('during a write is like any other', async () => {
    const scene = await open({}, 1)
    const { stream } = scene
    stream.sendData = () => {
      throw new Error('the muxer is closed')
    }
    await scene.sendSome(2)
    expect(scene.outcomes).toEqual(['connection-lost', 'connection-lost', 'connection-lost'])
    expect(scene.outbox.unsettled).toBe(0)
    expect(scene.clock.armed).toBe(0)
  })
})

describe('release', () => {
  it('closes the stream in an orderly way; the next message opens another', async () => {
    const scene = await open({}, 1)
    scene.stream.receive(acks(0))
    scene.outbox.release()
    await turn()
    expect(scene.stream.wasEnded).toBe(true)
    expect(scene.stream.wasReset).toBe(false)
    expect(scene.opened).toBe(1)
    await scene.sendSome(1)
    expect(numbersOn(scene.stream)).toEqual([1])
  })

  it('has what becomes of the stream afterwards change nothing on the next one', async () => {
    const scene = await open({}, 1)
    const { stream } = scene
    stream.receive(acks(0))
    scene.outbox.release()
    await scene.sendSome(1)
    expect(scene.streams).toHaveLength(2)
    stream.receive(acks(0))
    stream.receiveEnd()
    await turn()
    expect(stream.status).toBe('closed')
    expect(scene.stream.wasReset).toBe(false)
    expect(scene.malformed).toEqual([])
    scene.stream.receive(acks(1))
    expect(scene.outcomes).toEqual([undefined, 'refused-full'])
  })

  it('leaves no timer behind of a stream that is blocked', async () => {
    const scene = await open({}, 1)
    scene.stream.congested = true
    await scene.sendSome(1)
    scene.outbox.disconnect()
    expect(scene.clock.armed).toBe(0)
  })

  it('moves what waits behind a blocked stream to another', async () => {
    const scene = await open({}, 1)
    scene.stream.congested = true
    await scene.sendSome(1)
    await scene.sendSome(1)
    scene.stream.receive(acks(0, 0))
    expect(scene.outbox.busy).toBe(false)
    expect(scene.outbox.unsettled).toBe(1)
    scene.outbox.release()
    await turn()
    expect(scene.streams).toHaveLength(2)
    expect(numbersOn(scene.stream)).toEqual([2])
  })
})

describe('disconnect', () => {
  it('settles what was written as unknown and the rest as not connected, in order', async () => {
    const scene = await open({ windowMessages: 2 }, 5)
    scene.stream.receive(acks(0))
    scene.outbox.disconnect()
    expect(scene.outcomes).toEqual([
      undefined,
      'connection-lost',
      'connection-lost',
      'not-connected',
      'not-connected'
    ])
    expect(scene.stream.wasReset).toBe(true)
    expect(scene.clock.armed).toBe(0)
  })

  it('settles nothing twice that has timed out', async () => {
    const scene = await open({ windowMessages: 2 }, 2)
    scene.clock.advance(1_000)
    scene.outbox.disconnect()
    expect(scene.outcomes).toEqual(['ack-timeout', 'ack-timeout'])
  })

  it('may be called from the report of an unanswered message', async () => {
    const scene = await open({ windowMessages: 3 }, 5)
    scene.onUnanswered = () => scene.outbox.disconnect()
    scene.neglect()
    await turn()
    expect(scene.outcomes).toEqual([
      'ack-timeout',
      'ack-timeout',
      'ack-timeout',
      'not-connected',
      'not-connected'
    ])
    expect(scene.unanswered).toBe(3)
    expect(scene.opened).toBe(1)
  })

  it('twice does nothing more, and messages can be sent afterwards', async () => {
    const scene = await open({}, 2)
    scene.outbox.disconnect()
    scene.outbox.disconnect()
    expect(scene.outcomes).toHaveLength(2)
    await scene.sendSome(1)
    scene.stream.receive(acks(0))
    expect(scene.outcomes).toEqual(['connection-lost', 'connection-lost', undefined])
  })
})
