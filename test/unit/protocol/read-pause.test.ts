import { describe, expect, it } from 'vitest'
import { ReadPause } from '../../../src/protocol/index.ts'
import { TestStream, turn } from './support.ts'

/** A stream with a pause; what it has told and what was read, in order. */
function paused(onRead: () => void = () => {}): { stream: TestStream; pause: ReadPause; told: string[] } {
  const stream = new TestStream()
  const told: string[] = []
  stream.addEventListener('message', () => {
    told.push('read')
    onRead()
  })
  const pause = new ReadPause(stream, {
    ending: () => told.push('ending'),
    ended: () => told.push('ended')
  })
  return { stream, pause, told }
}

const BYTES = new Uint8Array(10)

describe('a read pause', () => {
  it('ends when all that was written has left, and then what came meanwhile is read', async () => {
    const { stream, pause, told } = paused()
    stream.room = 0
    stream.send(BYTES)
    expect(pause.begin()).toBe(true)
    expect(pause.active).toBe(true)
    stream.receive(BYTES)
    stream.grant(9)
    await turn()
    expect(told).toEqual([])
    expect(stream.flowing).toBe(false)
    stream.grant(1)
    await turn()
    expect(told).toEqual(['ending', 'read', 'ended'])
    expect(pause.active).toBe(false)
    expect(stream.flowing).toBe(true)
  })

  it('begins once, and not on a stream that is not read any more', async () => {
    const { stream, pause } = paused()
    expect(pause.begin()).toBe(true)
    expect(pause.begin()).toBe(false)
    const reset = paused()
    reset.stream.receiveReset()
    await turn()
    expect(reset.pause.begin()).toBe(false)
    expect(reset.pause.active).toBe(false)
    expect(stream.flowing).toBe(false)
  })

  it('does not end in the middle of a write, when what is sent in answer would be left lying', () => {
    const { stream, pause, told } = paused()
    pause.begin()
    stream.send(BYTES)
    expect(told).toEqual([])
  })

  it('tells nothing when something has left and there was no pause', async () => {
    const { stream, told } = paused()
    stream.send(BYTES)
    await turn()
    expect(told).toEqual([])
  })

  it('that is held ends when it is released, and not before what was written has left', async () => {
    const { stream, pause, told } = paused()
    pause.release()
    expect(told).toEqual([])
    pause.hold()
    expect(stream.flowing).toBe(false)
    stream.send(BYTES)
    await turn()
    expect(stream.flowing).toBe(false)
    pause.release()
    expect(stream.flowing).toBe(true)
    expect(told).toEqual(['ended'])
    stream.room = 0
    stream.send(BYTES)
    pause.hold()
    pause.begin()
    pause.release()
    expect(pause.active).toBe(true)
    expect(stream.flowing).toBe(false)
    stream.grant(10)
    await turn()
    expect(stream.flowing).toBe(true)
  })

  it('that begins while what came meanwhile is read goes on', async () => {
    const { stream, pause, told } = paused(() => {
      stream.room = 0
      stream.send(BYTES)
      pause.begin()
    })
    pause.hold()
    stream.receive(BYTES)
    pause.release()
    expect(pause.active).toBe(true)
    expect(stream.readStatus).toBe('paused')
    expect(stream.flowing).toBe(false)
    stream.grant(10)
    await turn()
    expect(stream.flowing).toBe(true)
    expect(told).toEqual(['read', 'ended', 'ending', 'ended'])
  })

  it('does not end once it was stopped', async () => {
    const { stream, pause, told } = paused()
    stream.room = 0
    stream.send(BYTES)
    pause.begin()
    stream.receive(BYTES)
    pause.stop()
    stream.grant(10)
    await turn()
    expect(told).toEqual([])
    expect(stream.flowing).toBe(false)
    const held = paused()
    held.pause.hold()
    held.pause.stop()
    held.pause.release()
    expect(held.told).toEqual([])
    expect(held.stream.flowing).toBe(false)
  })
})
