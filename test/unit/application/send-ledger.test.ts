import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SendLedger, SendLedgers } from '../../../src/application/send-ledger.ts'
import { seed } from '../bridge/support.ts'

/** Peers that are remembered without unsettled messages. */
const MAX_IDLE = 4_096

describe('ledger', () => {
  it('gives ids back in the order of their messages, and counts messages and bytes', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.nat(2 ** 28 - 1), fc.constant(null)), { maxLength: 300 }), steps => {
        const ledger = new SendLedger('peer-a', 3)
        const open: Array<{ id: number; size: number }> = []
        let id = 2 ** 40
        for (const size of steps) {
          if (size !== null) {
            id += 1 + (size % 5)
            ledger.add(id, size)
            open.push({ id, size })
          } else if (open.length > 0 && ledger.settle() !== open.shift()!.id) throw new Error('another id')
          expect(ledger.count).toBe(open.length)
          expect(ledger.bytes).toBe(open.reduce((sum, message) => sum + message.size, 0))
        }
      }),
      { seed, numRuns: 500 }
    )
  })

  it('grows with ids wrapped around its ring', () => {
    const ledger = new SendLedger('peer-a', 0)
    let added = 0
    let settled = 0
    const sizes: number[] = []
    let bytes = 0
    const settle = (): void => {
      expect(ledger.settle()).toBe(++settled)
      bytes -= sizes[settled - 1]!
      expect(ledger.bytes).toBe(bytes)
    }
    for (let round = 0; round < 12; round++) {
      for (let i = 0; i < 2 ** round + 3; i++) {
        ledger.add(++added, i)
        sizes.push(i)
        bytes += i
      }
      for (let i = 0; i < 2 ** (round - 1); i++) settle()
    }
    while (ledger.count > 0) settle()
    expect(settled).toBe(added)
    expect(ledger.bytes).toBe(0)
  })
})

/** SendLedgers, and which peer each number was introduced for last. */
function library(): { ledgers: SendLedgers; introduced: string[]; open: (peerId: string) => SendLedger } {
  const ledgers = new SendLedgers()
  const introduced: string[] = []
  const open = (peerId: string): SendLedger =>
    ledgers.find(peerId) ?? ledgers.open(peerId, peerId, handle => (introduced[handle] = peerId))
  return { ledgers, introduced, open }
}

describe('ledgers', () => {
  it('introduce a peer before anything is written in its ledger, and once', () => {
    const { ledgers, introduced, open } = library()
    const ledger = open('peer-a')
    expect(introduced).toEqual(['peer-a'])
    expect(open('peer-a')).toBe(ledger)
    expect(ledgers.at(ledger.handle)).toBe(ledger)
    expect(open('peer-b').handle).not.toBe(ledger.handle)
    expect(introduced).toEqual(['peer-a', 'peer-b'])
  })

  it('lead several spellings of a peer to one ledger', () => {
    const ledgers = new SendLedgers()
    let introductions = 0
    const open = (text: string): SendLedger => ledgers.open(text, 'peer-a', () => introductions++)
    const ledger = open('peer-a')
    expect(open('PEER-A')).toBe(ledger)
    expect(ledgers.find('PEER-A')).toBe(ledger)
    expect(introductions).toBe(1)
  })

  it('remain bounded however many spellings a peer has', () => {
    const ledgers = new SendLedgers()
    for (let i = 0; i < 5 * MAX_IDLE; i++) ledgers.open(`spelling ${i}`, 'peer-a', () => {})
    expect(ledgers.find('spelling 0')).toBeUndefined()
    expect(ledgers.find(`spelling ${5 * MAX_IDLE - 1}`)).toBeDefined()
  })

  it('say so when a number means no peer', () => {
    expect(() => new SendLedgers().at(7)).toThrow('7')
  })

  it('give numbers of idle peers to new ones, the oldest first, and no more numbers than peers are remembered', () => {
    const { ledgers, introduced, open } = library()
    const first = open('peer-0')
    for (let i = 1; i < MAX_IDLE; i++) open(`peer-${i}`)
    for (let i = MAX_IDLE; i < 3 * MAX_IDLE; i++) {
      const ledger = open(`peer-${i}`)
      if (ledger.handle >= MAX_IDLE) throw new Error(`number ${ledger.handle} for peer ${i}`)
      if (introduced[ledger.handle] !== `peer-${i}`) throw new Error('not introduced')
    }
    expect(ledgers.find('peer-0')).toBeUndefined()
    expect(ledgers.at(first.handle).peerId).not.toBe('peer-0')
    expect(introduced).toHaveLength(MAX_IDLE)
  })

  it('never give away the number of a peer with unsettled messages', () => {
    const { ledgers, open } = library()
    for (let i = 0; i < MAX_IDLE; i++) open(`peer-${i}`).add(i, 1)
    const idle = open('peer-x')
    expect(idle.handle).toBe(MAX_IDLE)
    expect(open('peer-y').handle).toBe(MAX_IDLE)
    for (let i = 0; i < MAX_IDLE; i++)
      if (ledgers.find(`peer-${i}`)?.count === 0) throw new Error(`peer ${i} is lost`)
    expect([...ledgers.unsettled()]).toHaveLength(MAX_IDLE)
    open('peer-17').settle()
    expect([...ledgers.unsettled()]).toHaveLength(MAX_IDLE - 1)
  })

  it('find no evicted peer under any spelling', () => {
    const ledgers = new SendLedgers()
    ledgers.open('PEER-0', 'peer-0', () => {})
    for (let i = 1; i <= MAX_IDLE; i++) ledgers.open(`peer-${i}`, `peer-${i}`, () => {})
    expect(ledgers.find('PEER-0')).toBeUndefined()
  })
})
