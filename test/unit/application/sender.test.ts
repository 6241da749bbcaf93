import { describe, expect, it } from 'vitest'
import { RuntimeState, Word } from '../../../src/bridge/control-block.ts'
import type { Command } from '../../../src/bridge/types.ts'
import { P2pError } from '../../../src/errors.ts'
import { already, Bench, pattern } from '../bridge/support.ts'

/** The error that `act` throws, as its code and message. */
function failure(act: () => unknown): string {
  try {
    act()
  } catch (err) {
    if (err instanceof P2pError) return `${err.code}: ${err.message}`
    throw err
  }
  throw new Error('it did not throw')
}

const limits = { messages: 3, bytes: 100, messageBytes: 50 }

/** Settles the oldest messages to a peer as the runtime does, and reads the Status events. */
function settle(bench: Bench, peerId: string, count = 1): void {
  bench.writer.status(bench.ledgers.find(peerId)!.handle, undefined, count)
  bench.drainEvents()
}

describe('sender', () => {
  it('hands commands over in their order, whatever their kind, each with its own id', () => {
    const bench = new Bench()
    const ids = [
      bench.sender.dial('peer-a', 'host:1'),
      bench.sender.sendMsg('peer-a', pattern(3)),
      bench.sender.sendMsg('peer-b', pattern(4)),
      bench.sender.disconnectFrom('peer-b'),
      bench.sender.sendMsg('peer-a', pattern(5)),
      bench.sender.sendMsg('peer-a', pattern(6)),
      bench.sender.disconnectFrom()
    ]
    expect(new Set(ids).size).toBe(7)
    expect(bench.drainCommands().log).toEqual([
      `{"type":"Dial","id":${ids[0]},"peerId":"peer-a","addresses":["/peer-a/host:1"]}`,
      'send peer-a 3',
      'send peer-b 4',
      `{"type":"DisconnectFrom","id":${ids[3]},"peerId":"peer-b"}`,
      'send peer-a 5',
      'send peer-a 6',
      `{"type":"DisconnectFrom","id":${ids[6]}}`
    ])
  })

  it('takes up to 16 addresses for a dial, and hands each over once, in order', () => {
    const bench = new Bench()
    const many = Array.from({ length: 16 }, (_, i) => `host:${16 - i}`)
    bench.sender.dial('peer-a', many)
    bench.sender.send({ type: 'Dial', peerId: 'peer-a', address: ['host:2', 'host:1', 'host:2'] })
    const [first, second] = bench.drainCommands().log.map(text => JSON.parse(text) as { addresses: string[] })
    expect(first!.addresses).toEqual(many.map(address => `/peer-a/${address}`))
    expect(second!.addresses).toEqual(['/peer-a/host:2', '/peer-a/host:1'])
  })

  it('does with send() what the methods do', () => {
    const bench = new Bench()
    bench.sender.send({ type: 'Dial', peerId: 'peer-a', address: 'host:1' })
    bench.sender.send({ type: 'SendMsg', peerId: 'peer-a', data: pattern(3) })
    bench.sender.send({ type: 'DisconnectFrom', peerId: 'peer-a' })
    bench.sender.send({ type: 'DisconnectFrom' })
    const { log } = bench.drainCommands()
    expect(log.map(entry => /Dial|send|DisconnectFrom/.exec(entry)?.[0])).toEqual([
      'Dial',
      'send',
      'DisconnectFrom',
      'DisconnectFrom'
    ])
    expect(bench.endings).toBe(1)
  })

  it('leaves the caller its data', () => {
    const bench = new Bench()
    const data = pattern(100)
    bench.sender.sendMsg('peer-a', data)
    data.fill(0)
    bench.sender.sendMsg('peer-a', data.subarray(10, 20))
    const { messages } = bench.drainCommands()
    expect(messages.map(message => message.payload)).toEqual([pattern(100), new Uint8Array(10)])
  })

  it.each([0, 1, 127, 128, 16_384, 2 ** 21, 8 * 1024 * 1024])('carries a message of %d bytes', size => {
    const bench = new Bench()
    bench.sender.sendMsg('peer-a', pattern(size))
    const [message] = bench.drainCommands().messages
    expect(message!.peerId).toBe('peer-a')
    expect(Buffer.compare(message!.payload, pattern(size))).toBe(0)
  })

  it('takes a Buffer and a view of shared memory', () => {
    const bench = new Bench()
    bench.sender.sendMsg('peer-a', Buffer.from('text'))
    bench.sender.sendMsg('peer-a', new Uint8Array(new SharedArrayBuffer(8), 2, 3))
    const { messages } = bench.drainCommands()
    expect(messages.map(message => message.payload.length)).toEqual([4, 3])
  })

  it('introduces a peer once, also under another spelling', () => {
    const bench = new Bench()
    bench.sender.sendMsg('peer-a', pattern(1))
    bench.sender.sendMsg('PEER-A', pattern(2))
    bench.sender.sendMsg('Peer-A', pattern(3))
    const received = bench.drainCommands()
    expect(received.peers).toEqual(['peer-a'])
    expect(received.messages.map(message => message.peerId)).toEqual(['peer-a', 'peer-a', 'peer-a'])
  })

  it('rings once until the runtime has begun to look', () => {
    const bench = new Bench()
    for (let i = 0; i < 5; i++) bench.sender.sendMsg('peer-a', pattern(1))
    bench.sender.dial('peer-a', 'host:1')
    expect(bench.rings).toBe(1)
    bench.drainCommands()
    bench.sender.disconnectFrom('peer-a')
    expect(bench.rings).toBe(2)
  })

  describe('refuses', () => {
    const id = 'ERR_INVALID_PEER_ID'
    const option = 'ERR_INVALID_OPTION'
    const address = 'ERR_INVALID_ADDRESS'

    it.each([
      [undefined, 'undefined'],
      [null, 'null'],
      ['Dial', "'Dial'"],
      [42, '42'],
      [{}, 'type is undefined'],
      [{ type: 'Ping' }, "type is 'Ping'"],
      [{ type: 'constructor' }, "type is 'constructor'"],
      [{ type: 7 }, 'type is 7'],
      [['Dial'], 'type is undefined']
    ])('%o as a command', (command, named) => {
      const bench = new Bench()
      const said = failure(() => bench.sender.send(command as unknown as Command))
      expect(said).toContain(option)
      expect(said).toContain(`not a command: ${named}`)
      expect(bench.rings).toBe(0)
    })

    const nobody: unknown[] = [undefined, null, '', 'nobody', 7, {}, ['peer-a'], new Uint8Array(3)]
    it.each(nobody)('%o as a peer ID', value => {
      const bench = new Bench()
      const { sender } = bench
      const peerId = value as string
      const calls = [() => sender.dial(peerId, 'host:1'), () => sender.sendMsg(peerId, pattern(1))]
      if (value !== undefined) calls.push(() => sender.disconnectFrom(peerId))
      for (const call of calls) expect(failure(call)).toContain(id)
      expect(bench.rings).toBe(0)
      expect(bench.drainCommands().log).toEqual([])
    })

    it('this node itself as a peer, under any spelling', () => {
      const { sender } = new Bench()
      const calls = [
        () => sender.dial('peer-self', 'host:1'),
        () => sender.sendMsg('PEER-self', pattern(1)),
        () => sender.disconnectFrom('peer-SELF')
      ]
      for (const call of calls) expect(failure(call)).toContain("this node's own")
    })

    it.each([undefined, null, '', 7, {}, [], ['host:1', undefined], Array(2), Array(17).fill('host:1')])(
      '%o as an address',
      value => {
        const bench = new Bench()
        expect(failure(() => bench.sender.dial('peer-a', value as string))).toContain(address)
        expect(bench.dials.size).toBe(0)
      }
    )

    it.each([
      ['text', "'text'"],
      [undefined, 'undefined'],
      [null, 'null'],
      [7, '7'],
      [[1, 2, 3], 'an array of 3'],
      [new ArrayBuffer(3), 'ArrayBuffer'],
      [new Uint16Array(3), 'Uint16Array'],
      [new DataView(new ArrayBuffer(3)), 'DataView'],
      [{ length: 3 }, 'an object']
    ])('%o as data', (data, named) => {
      const bench = new Bench()
      const said = failure(() => bench.sender.sendMsg('peer-a', data as unknown as Uint8Array))
      expect(said).toContain(option)
      expect(said).toContain(named)
      expect(bench.drainCommands().log).toEqual([])
    })

    it('a message above the limit, naming size and limit; takes one of the limit', () => {
      const bench = new Bench(limits)
      const said = failure(() => bench.sender.sendMsg('peer-a', pattern(51)))
      expect(said).toContain('ERR_MESSAGE_TOO_LARGE')
      expect(said).toContain('51 bytes')
      expect(said).toContain('50')
      bench.sender.sendMsg('peer-a', pattern(50))
      expect(bench.drainCommands().log).toEqual(['send peer-a 50'])
    })

    it('one dial more than 4,096 without a read outcome', () => {
      const bench = new Bench()
      const ids = Array.from({ length: 4_096 }, () => bench.sender.dial('peer-a', 'host:1'))
      expect(failure(() => bench.sender.dial('peer-a', 'host:1'))).toContain('ERR_SENDER_FULL')
      bench.writer.control({ type: 'Error', code: 'ERR_DIAL_FAILED', message: 'no', id: ids[7]! })
      expect(failure(() => bench.sender.dial('peer-a', 'host:1'))).toContain('ERR_SENDER_FULL')
      bench.drainEvents()
      bench.sender.dial('peer-a', 'host:1')
      bench.writer.control(already(ids[8]!))
      bench.drainEvents()
      bench.sender.dial('peer-a', 'host:1')
      expect(failure(() => bench.sender.dial('peer-a', 'host:1'))).toContain('ERR_SENDER_FULL')
    })
  })

  describe('limits', () => {
    it('messages to each peer until their Status is read', () => {
      const bench = new Bench(limits)
      for (let i = 0; i < 3; i++) bench.sender.sendMsg('peer-a', pattern(0))
      const said = failure(() => bench.sender.sendMsg('peer-a', pattern(0)))
      expect(said).toContain('ERR_SENDER_FULL')
      expect(said).toContain('3 messages (0 bytes) to peer-a')
      bench.sender.sendMsg('peer-b', pattern(0))
      bench.drainCommands()
      expect(failure(() => bench.sender.sendMsg('PEER-A', pattern(0)))).toContain('ERR_SENDER_FULL')
      bench.writer.status(bench.ledgers.find('peer-a')!.handle, undefined, 1)
      expect(failure(() => bench.sender.sendMsg('peer-a', pattern(0)))).toContain('ERR_SENDER_FULL')
      bench.drainEvents()
      bench.sender.sendMsg('peer-a', pattern(0))
      expect(failure(() => bench.sender.sendMsg('peer-a', pattern(0)))).toContain('ERR_SENDER_FULL')
    })

    it('their bytes, to the byte', () => {
      const bench = new Bench(limits)
      bench.sender.sendMsg('peer-a', pattern(50))
      bench.sender.sendMsg('peer-a', pattern(49))
      expect(failure(() => bench.sender.sendMsg('peer-a', pattern(2)))).toContain('99 bytes')
      bench.sender.sendMsg('peer-a', pattern(1))
      settle(bench, 'peer-a', 2)
      bench.sender.sendMsg('peer-a', pattern(50))
      expect(failure(() => bench.sender.sendMsg('peer-a', pattern(50)))).toContain('51 bytes')
      bench.sender.sendMsg('peer-a', pattern(49))
    })

    it('a message above their bytes, but only alone', () => {
      const bench = new Bench({ messages: 3, bytes: 10, messageBytes: 50 })
      bench.sender.sendMsg('peer-a', pattern(50))
      expect(failure(() => bench.sender.sendMsg('peer-a', pattern(0)))).toContain('1 messages (50 bytes)')
      bench.sender.sendMsg('peer-b', pattern(1))
      expect(failure(() => bench.sender.sendMsg('peer-b', pattern(50)))).toContain('ERR_SENDER_FULL')
      settle(bench, 'peer-a', 1)
      bench.sender.sendMsg('peer-a', pattern(50))
    })

    it('nothing by what was refused', () => {
      const bench = new Bench(limits)
      for (let i = 0; i < 10; i++) failure(() => bench.sender.sendMsg('peer-a', pattern(51)))
      for (let i = 0; i < 3; i++) bench.sender.sendMsg('peer-a', pattern(1))
      expect(bench.drainCommands().messages).toHaveLength(3)
    })
  })

  describe('the end', () => {
    it('is told to the runtime once, however often it is asked for', () => {
      const bench = new Bench()
      bench.sender.disconnectFrom()
      expect(Atomics.load(bench.control, Word.state)).toBe(RuntimeState.stopping)
      expect(bench.sender.disconnectFrom()).toBeTypeOf('number')
      expect(bench.sender.disconnectFrom(undefined)).toBeTypeOf('number')
      expect(bench.drainCommands().log).toHaveLength(1)
      expect(bench.endings).toBe(1)
    })

    it('that waits for what is under way is told once, and once more when it is not to wait', () => {
      const bench = new Bench()
      for (const drainMs of [5, 7, 0, 0, 9]) bench.sender.stop(drainMs)
      expect(bench.drainCommands().log).toEqual([
        '{"type":"DisconnectFrom","id":1,"drainMs":5}',
        '{"type":"DisconnectFrom","id":3}'
      ])
    })

    it.each([-1, 1.5, 2 ** 31, Number.NaN, Infinity, '5', undefined])(
      'is not told with a wait of %o',
      drainMs => {
        const bench = new Bench()
        expect(failure(() => bench.sender.stop(drainMs as number))).toContain(
          'ERR_INVALID_OPTION: drainMs is'
        )
        expect(Atomics.load(bench.control, Word.state)).toBe(RuntimeState.running)
        expect(bench.sender.stop(2 ** 31 - 1)).toBe(1)
      }
    )

    it('that was told without a wait is not told again', () => {
      const bench = new Bench()
      bench.sender.stop(0)
      bench.sender.stop(0)
      expect(bench.drainCommands().log).toHaveLength(1)
    })

    it.each([
      ['stopping', RuntimeState.stopping, 'is ending'],
      ['stopped', RuntimeState.stopped, 'has ended'],
      ['failed', RuntimeState.failed, 'has failed']
    ])('%s: everything but the end itself is refused', (_, state, why) => {
      const bench = new Bench()
      bench.sender.sendMsg('peer-a', pattern(1))
      bench.drainCommands()
      Atomics.store(bench.control, Word.state, state)
      const calls = [
        () => bench.sender.dial('peer-a', 'host:1'),
        () => bench.sender.sendMsg('peer-a', pattern(1)),
        () => bench.sender.disconnectFrom('peer-a'),
        () => bench.sender.send({ type: 'SendMsg', peerId: 'peer-a', data: pattern(1) })
      ]
      for (const call of calls) {
        expect(failure(call)).toContain('ERR_CLOSED')
        expect(failure(call)).toContain(why)
      }
      bench.sender.disconnectFrom()
      expect(bench.drainCommands().log).toEqual([])
      expect(Atomics.load(bench.control, Word.state)).toBe(state)
    })
  })
})
