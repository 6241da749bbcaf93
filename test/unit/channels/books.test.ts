import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Books } from '../../../src/channels/index.ts'
import { Book } from '../../../src/channels/books.ts'
import { seed } from './support.ts'

/** Peers that are remembered without unsettled messages. */
const MAX_IDLE = 4_096

describe('book', () => {
  it('gives ids back in the order of their messages, and counts messages and bytes', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.nat(2 ** 28 - 1), fc.constant(null)), { maxLength: 300 }), steps => {
        const book = new Book('peer-a', 3)
        const open: Array<{ id: number; size: number }> = []
        let id = 2 ** 40
        for (const size of steps) {
          if (size !== null) {
            id += 1 + (size % 5)
            book.add(id, size)
            open.push({ id, size })
          } else if (open.length > 0 && book.settle() !== open.shift()!.id) throw new Error('another id')
          expect(book.count).toBe(open.length)
          expect(book.bytes).toBe(open.reduce((sum, message) => sum + message.size, 0))
        }
      }),
      { seed, numRuns: 500 }
    )
  })

  it('grows with ids wrapped around its ring', () => {
    const book = new Book('peer-a', 0)
    let added = 0
    let settled = 0
    for (let round = 0; round < 12; round++) {
      for (let i = 0; i < 2 ** round + 3; i++) book.add(++added, i)
      for (let i = 0; i < 2 ** (round - 1); i++) expect(book.settle()).toBe(++settled)
    }
    while (book.count > 0) expect(book.settle()).toBe(++settled)
    expect(settled).toBe(added)
    expect(book.bytes).toBe(0)
  })
})

/** Books, and which peer each number was introduced for last. */
function library(): { books: Books; introduced: string[]; open: (peerId: string) => Book } {
  const books = new Books()
  const introduced: string[] = []
  const open = (peerId: string): Book =>
    books.find(peerId) ?? books.open(peerId, peerId, subject => (introduced[subject] = peerId))
  return { books, introduced, open }
}

describe('books', () => {
  it('introduce a peer before anything is written in his book, and once', () => {
    const { books, introduced, open } = library()
    const book = open('peer-a')
    expect(introduced).toEqual(['peer-a'])
    expect(open('peer-a')).toBe(book)
    expect(books.at(book.subject)).toBe(book)
    expect(open('peer-b').subject).not.toBe(book.subject)
    expect(introduced).toEqual(['peer-a', 'peer-b'])
  })

  it('lead several spellings of a peer to one book', () => {
    const books = new Books()
    let introductions = 0
    const open = (text: string): Book => books.open(text, 'peer-a', () => introductions++)
    const book = open('peer-a')
    expect(open('PEER-A')).toBe(book)
    expect(books.find('PEER-A')).toBe(book)
    expect(introductions).toBe(1)
  })

  it('remain bounded however many spellings a peer has', () => {
    const books = new Books()
    for (let i = 0; i < 5 * MAX_IDLE; i++) books.open(`spelling ${i}`, 'peer-a', () => {})
    expect(books.find('spelling 0')).toBeUndefined()
    expect(books.find(`spelling ${5 * MAX_IDLE - 1}`)).toBeDefined()
  })

  it('say so when a number means nobody', () => {
    expect(() => new Books().at(7)).toThrow('7')
  })

  it('give numbers of idle peers to new ones, the oldest first, and no more numbers than peers are remembered', () => {
    const { books, introduced, open } = library()
    const first = open('peer-0')
    for (let i = 1; i < MAX_IDLE; i++) open(`peer-${i}`)
    for (let i = MAX_IDLE; i < 3 * MAX_IDLE; i++) {
      const book = open(`peer-${i}`)
      if (book.subject >= MAX_IDLE) throw new Error(`number ${book.subject} for peer ${i}`)
      if (introduced[book.subject] !== `peer-${i}`) throw new Error('not introduced')
    }
    expect(books.find('peer-0')).toBeUndefined()
    expect(books.at(first.subject).peerId).not.toBe('peer-0')
    expect(introduced).toHaveLength(MAX_IDLE)
  })

  it('never give away the number of a peer with unsettled messages', () => {
    const { books, open } = library()
    for (let i = 0; i < MAX_IDLE; i++) open(`peer-${i}`).add(i, 1)
    const idle = open('peer-x')
    expect(idle.subject).toBe(MAX_IDLE)
    expect(open('peer-y').subject).toBe(MAX_IDLE)
    for (let i = 0; i < MAX_IDLE; i++)
      if (books.find(`peer-${i}`)?.count === 0) throw new Error(`peer ${i} is lost`)
    expect([...books.unsettled()]).toHaveLength(MAX_IDLE)
    open('peer-17').settle()
    expect([...books.unsettled()]).toHaveLength(MAX_IDLE - 1)
  })

  it('find no evicted peer under any spelling', () => {
    const books = new Books()
    books.open('PEER-0', 'peer-0', () => {})
    for (let i = 1; i <= MAX_IDLE; i++) books.open(`peer-${i}`, `peer-${i}`, () => {})
    expect(books.find('PEER-0')).toBeUndefined()
  })
})
