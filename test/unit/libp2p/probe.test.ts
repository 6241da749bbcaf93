import '../../../src/libp2p/polyfill.ts'
import { yamux } from '@chainsafe/libp2p-yamux'
import type { Connection, MessageStream } from '@libp2p/interface'
import { multiaddrConnectionPair } from '@libp2p/utils'
import { expect, it, onTestFinished } from 'vitest'
import { Probe } from '../../../src/libp2p/probe.ts'
import { systemClock } from '../../../src/clock.ts'

interface Muxer {
  rtt: number
  status: string
  sendPing: (id: number, flag?: number) => void
}

const ACK = 2

/** Two muxers that talk to each other, ours asked through a probe. */
function pair(): { probe: Probe; ours: Muxer; theirs: Muxer; below: MessageStream } {
  const [below, far] = multiaddrConnectionPair()
  const [muxer, theirs] = [below, far].map(
    end => yamux({ enableKeepAlive: false })().createStreamMuxer(end) as unknown as Muxer
  )
  onTestFinished(() => {
    below.abort(new Error('over'))
    far.abort(new Error('over'))
  })
  return {
    probe: new Probe({ muxer } as unknown as Connection, systemClock),
    ours: muxer!,
    theirs: theirs!,
    below
  }
}

it('an answer tells the round trip, in whole milliseconds and at least one, by which windows grow', async () => {
  const { probe, ours } = pair()
  expect(ours.rtt).toBe(-1)
  probe.send()
  await expect.poll(() => ours.rtt).toBeGreaterThanOrEqual(1)
  expect(Number.isInteger(ours.rtt)).toBe(true)
})

it('each question may be answered once, in any order and any time later, also when others never are', async () => {
  const { probe, ours, theirs, below } = pair()
  const answer = theirs.sendPing.bind(theirs)
  const asked: number[] = []
  theirs.sendPing = id => asked.push(id)
  for (let i = 0; i < 4; i++) probe.send()
  await expect.poll(() => asked).toHaveLength(4)
  for (const id of [asked[3]!, asked[0]!, asked[1]!]) answer(id, ACK)
  await expect.poll(() => ours.rtt).toBeGreaterThanOrEqual(1)
  expect(below.status).toBe('open')
  theirs.sendPing = answer
  const before = asked.length
  probe.send()
  expect(asked).toHaveLength(before)
  expect(below.status).toBe('open')
})

it.each([
  ['to no question', 0, 0],
  ['that was given already', 1, 0],
  ['to a question that was not asked', 1, 77]
])('an answer %s ends the connection', async (_, questions, id) => {
  const { probe, theirs, ours, below } = pair()
  for (let i = 0; i < questions; i++) probe.send()
  if (questions > 0) await expect.poll(() => ours.rtt).toBeGreaterThanOrEqual(1)
  theirs.sendPing(id, ACK)
  await expect.poll(() => below.status).not.toBe('open')
})
