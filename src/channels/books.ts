/**
 * The application's books: which messages it has handed over and not yet seen settled. They give every Status its id,
 * bound what a peer can be owed, and make it possible to settle everything when the runtime is gone.
 */

/** Limits of one peer's share of the sender channel. */
export interface BookLimits {
  /** Unsettled messages, at least 1. */
  messages: number
  /** Their payload bytes. */
  bytes: number
}

/** One peer's unsettled messages, oldest first. */
export class Book {
  readonly peerId: string
  /** The peer's number in the records of both directions. */
  readonly subject: number
  #ids = new Float64Array(16)
  #sizes = new Int32Array(16)
  #head = 0
  count = 0
  bytes = 0

  constructor(peerId: string, subject: number) {
    this.peerId = peerId
    this.subject = subject
  }

  /** Notes an accepted message. */
  add(id: number, size: number): void {
    if (this.count === this.#ids.length) this.#grow()
    const at = (this.#head + this.count) & (this.#ids.length - 1)
    this.#ids[at] = id
    this.#sizes[at] = size
    this.count++
    this.bytes += size
  }

  /** Strikes the oldest message out; its id. */
  settle(): number {
    const id = this.#ids[this.#head]!
    this.bytes -= this.#sizes[this.#head]!
    this.#head = (this.#head + 1) & (this.#ids.length - 1)
    this.count--
    return id
  }

  /** Doubles the rings; their length stays a power of two, so that a mask wraps the index. */
  #grow(): void {
    const length = this.#ids.length
    const ids = new Float64Array(length * 2)
    const sizes = new Int32Array(length * 2)
    for (let i = 0; i < this.count; i++) {
      ids[i] = this.#ids[(this.#head + i) & (length - 1)]!
      sizes[i] = this.#sizes[(this.#head + i) & (length - 1)]!
    }
    this.#ids = ids
    this.#sizes = sizes
    this.#head = 0
  }
}

/** Peers remembered without unsettled messages. Beyond them, the one that was named first gives its number away. */
const MAX_IDLE_BOOKS = 4_096

/** All books, by the text the application uses for the peer and by number. */
export class Books {
  /** By peer ID as the application wrote it: several spellings may lead to one book. */
  readonly #byText = new Map<string, Book>()
  readonly #byPeerId = new Map<string, Book>()
  readonly #bySubject: Array<Book | undefined> = []

  /** The book of a peer, if the application has named it so before. */
  find(text: string): Book | undefined {
    return this.#byText.get(text)
  }

  /** The book with that number. */
  at(subject: number): Book {
    const book = this.#bySubject[subject]
    if (book === undefined) throw new RangeError(`no peer has the number ${subject}`)
    return book
  }

  /**
   * The book of `peerId` (canonical), from now on also found under `text`. `introduce` is called first when the book
   * is new, with the number that means this peer from now on.
   */
  open(text: string, peerId: string, introduce: (subject: number) => void): Book {
    let book = this.#byPeerId.get(peerId)
    if (book === undefined) {
      const subject = this.#freeSubject()
      introduce(subject)
      book = new Book(peerId, subject)
      this.#bySubject[subject] = book
      this.#byPeerId.set(peerId, book)
    }
    if (this.#byText.size >= 2 * MAX_IDLE_BOOKS) this.#byText.clear()
    this.#byText.set(text, book)
    return book
  }

  /** Every book that still has unsettled messages. */
  *unsettled(): Generator<Book> {
    for (const book of this.#byPeerId.values()) if (book.count > 0) yield book
  }

  #freeSubject(): number {
    if (this.#byPeerId.size >= MAX_IDLE_BOOKS) {
      for (const book of this.#byPeerId.values()) {
        if (book.count > 0) continue
        this.#byPeerId.delete(book.peerId)
        this.#byText.clear()
        return book.subject
      }
    }
    return this.#bySubject.length
  }
}
