import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Bench, pattern, payloads, Received, seed } from '../bridge/support.ts'

const MIB = 1024 * 1024

describe('command reader', () => {
  it('hands on neighbouring messages for one peer together', () => {
    const bench = new Bench()
    for (let i = 0; i < 5; i++) bench.sender.sendMsg('peer-a', pattern(10, i))
    bench.sender.sendMsg('peer-b', pattern(10, 5))
    for (let i = 0; i < 3; i++) bench.sender.sendMsg('peer-a', pattern(10, i))
    const received = bench.drainCommands()
    expect(received.runs).toEqual([5, 1, 3])
  })

  it('hands on everything, in order, byte for byte, in runs and turns of any size', () => {
    const peers = ['peer-a', 'peer-b', 'peer-c']
    const command = fc.oneof(
      {
        weight: 6,
        arbitrary: fc.record({
          peer: fc.nat(2),
          size: fc.oneof(
            { weight: 8, arbitrary: fc.nat(300) },
            { weight: 2, arbitrary: fc.nat(400_000) },
            { weight: 1, arbitrary: fc.constantFrom(MIB, 2 * MIB, 4 * MIB) }
          ),
          times: fc.nat(20)
        })
      },
      { weight: 1, arbitrary: fc.record({ dial: fc.nat(2) }) },
      { weight: 2, arbitrary: fc.constant('drain' as const) }
    )
    fc.assert(
      fc.property(fc.array(command, { maxLength: 25 }), list => {
        const bench = new Bench({ messages: 1e9, bytes: 1e12, messageBytes: 8 * MIB })
        const received = new Received()
        const expected: string[] = []
        let salt = 0
        const payloadsSent: Uint8Array[] = []
        for (const step of list) {
          if (step === 'drain') bench.reader.drain(received)
          else if ('dial' in step) {
            const id = bench.sender.dial(peers[step.dial]!, 'host:1')
            expected.push(
              JSON.stringify({
                type: 'Dial',
                id,
                peerId: peers[step.dial],
                addresses: [`/${peers[step.dial]}/host:1`]
              })
            )
          } else {
            const times = step.size > 100_000 ? Math.min(step.times, 3) : step.times
            for (let i = 0; i < times; i++) {
              const payload = pattern(step.size, salt++)
              bench.sender.sendMsg(peers[step.peer]!, payload)
              payloadsSent.push(payload)
              expected.push(`send ${peers[step.peer]} ${step.size}`)
            }
          }
        }
        while (bench.reader.drain(received));
        expect(received.log).toEqual(expected)
        const damaged = received.messages.findIndex(
          (m, i) => Buffer.compare(m.payload, payloadsSent[i]!) !== 0
        )
        expect(damaged).toBe(-1)
      }),
      { seed, numRuns: 60 }
    )
  })

  it('takes at most some thousand records in one turn, and says that there is more', () => {
    const bench = new Bench({ messages: 1e9, bytes: 1e12, messageBytes: MIB })
    for (let i = 0; i < 40_000; i++) bench.sender.sendMsg(i % 3 === 0 ? 'peer-a' : 'peer-b', pattern(0))
    const received = new Received()
    const counts: number[] = []
    for (let more = true; more;) {
      const before = received.log.length
      more = bench.reader.drain(received)
      counts.push(received.log.length - before)
    }
    expect(Math.max(...counts)).toBeLessThanOrEqual(16_384)
    expect(received.messages).toHaveLength(40_000)
  })

  it('takes at most some megabytes in one turn, and loses no message at the bound', () => {
    const bench = new Bench({ messages: 1e9, bytes: 1e12, messageBytes: MIB })
    for (let i = 0; i < 60; i++) {
      bench.sender.sendMsg(i % 2 === 0 ? 'peer-a' : 'peer-b', pattern(700_000, i))
      if (i % 7 === 0) bench.sender.dial('peer-a', 'host:1')
    }
    const received = new Received()
    const counts: number[] = []
    for (let more = true; more;) {
      const before = received.messages.length
      more = bench.reader.drain(received)
      counts.push(received.messages.length - before)
    }
    expect(Math.max(...counts)).toBeLessThanOrEqual(8)
    expect(received.messages).toHaveLength(60)
    expect(received.log).toHaveLength(69)
  })

  it('is not disturbed by what the application sends while a run is being handled', () => {
    const bench = new Bench({ messages: 1e9, bytes: 1e12, messageBytes: MIB })
    const sizes = Array.from({ length: 40 }, (_, i) => 90_000 + i)
    for (const [i, size] of sizes.entries()) bench.sender.sendMsg('peer-a', pattern(size, i))
    let number = 0
    let rounds = 0
    const handler = {
      peer: () => {},
      command: () => {},
      send: (_: number, frames: Uint8Array) => {
        // As the application's thread may at this very moment: the pool of segments is turned over several times.
        if (rounds++ < 40)
          for (let i = 0; i < 30; i++) bench.sender.sendMsg('peer-a', new Uint8Array(300_000))
        for (const payload of payloads(frames.slice())) {
          if (number < sizes.length && Buffer.compare(payload, pattern(sizes[number]!, number)) !== 0) {
            throw new Error(`message ${number} was overwritten`)
          }
          number++
        }
      }
    }
    while (bench.reader.drain(handler));
    expect(number).toBe(40 + 40 * 30)
  })

  it('needs a new ring for what comes after it has looked, and for nothing else', () => {
    const bench = new Bench()
    expect(bench.reader.drain(new Received())).toBe(false)
    bench.sender.sendMsg('peer-a', pattern(1))
    expect(bench.rings).toBe(1)
    let rings = -1
    bench.reader.drain({
      peer: () => {},
      command: () => {},
      send: () => {
        bench.sender.sendMsg('peer-a', pattern(1))
        if (rings < 0) ({ rings } = bench)
      }
    })
    expect(rings).toBe(2)
  })
})
