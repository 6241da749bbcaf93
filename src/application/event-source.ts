import { P2pError } from '../errors.ts'
import { prefixBytes, readPrefix } from '../framing/index.ts'
import type { SendLedger, SendLedgers } from './send-ledger.ts'
import { decodeText, EventRecord, hasEnded, OUTCOMES, RuntimeState, Word } from '../bridge/index.ts'
import type { ControlBlock, ControlEvent, P2pEvent, QueueReader, StatusFailure } from '../bridge/index.ts'
import { MessagePool } from './message-pool.ts'
import type { EventSource } from './receiver.ts'

/** Reads the receiver channel: turns records back into events, one at a time. */
export class P2pEventSource implements EventSource<P2pEvent> {
  readonly #control: ControlBlock
  readonly #queue: QueueReader
  readonly #ledgers: SendLedgers
  readonly #dials: Map<number, string>
  readonly #peers: string[] = []
  #eventsRead = 0
  #statusesRead = 0
  #dialsRead = 0
  /** Peers whose Connected was read and no Disconnected yet. */
  readonly #connected = new Set<string>()

  /** The data record being read: `#frames` messages are left in `#bytes`, from `#at` to `#end`. */
  #frames = 0
  #from = ''
  #bytes: Uint8Array = new Uint8Array(0)
  #at = 0
  #end = 0
  readonly #pool = new MessagePool()

  /** The status record being read: `#settling` messages of `#ledger` end with `#outcome`. */
  #settling = 0
  #ledger: SendLedger | undefined
  #outcome: StatusFailure | undefined

  /** The runtime has ended and all it published is read; the rest is told from here. */
  #leftAlone = false
  #leftovers: Iterator<SendLedger> | undefined
  #failure: P2pEvent | undefined

  constructor(control: ControlBlock, queue: QueueReader, ledgers: SendLedgers, dials: Map<number, string>) {
    this.#control = control
    this.#queue = queue
    this.#ledgers = ledgers
    this.#dials = dials
  }

  /** The runtime died without a word: this event is told once, after everything it had published. */
  fail(err: P2pError): void {
    this.#failure ??= { type: 'Error', code: err.code, message: err.message }
  }

  get length(): number {
    const since = (word: number, read: number): number => (Atomics.load(this.#control, word) - read) | 0
    const others = this.#leftAlone ? 0 : since(Word.receiverWritten, this.#eventsRead)
    if (!hasEnded(this.#control)) return others + since(Word.statusWritten, this.#statusesRead)
    let owed = this.#failure === undefined ? 0 : 1
    for (const ledger of this.#ledgers.unsettled()) owed += ledger.count
    if (this.#leftAlone) return owed + this.#connected.size + this.#dials.size
    const unanswered = this.#dials.size - since(Word.dialsAnswered, this.#dialsRead)
    return others + owed + Atomics.load(this.#control, Word.peersConnected) + unanswered
  }

  take(): P2pEvent | undefined {
    for (;;) {
      if (this.#frames > 0) return this.#takeMessage()
      if (this.#settling > 0) {
        this.#settling--
        this.#statusesRead++
        return this.#settle()
      }
      // Read the state first: whatever was published before the end is then found before the end is believed.
      const ended = hasEnded(this.#control)
      if (!this.#queue.next()) return ended ? this.#takeLeftover() : undefined
      const event = this.#openRecord()
      if (event !== undefined) return event
    }
  }

  #openRecord(): P2pEvent | undefined {
    const queue = this.#queue
    switch (queue.kind) {
      case EventRecord.peer:
        this.#peers[queue.handle] = decodeText(queue.bytes, queue.begin, queue.end)
        return undefined
      case EventRecord.data:
        this.#from = this.#peers[queue.handle]!
        this.#frames = queue.a
        this.#bytes = queue.bytes
        this.#at = queue.begin
        this.#end = queue.end
        return undefined
      case EventRecord.status:
        this.#ledger = this.#ledgers.at(queue.handle)
        this.#settling = queue.a
        this.#outcome = OUTCOMES[queue.b]
        return undefined
      default: {
        const event = JSON.parse(decodeText(queue.bytes, queue.begin, queue.end)) as ControlEvent
        if ('id' in event && event.id !== undefined) {
          this.#dialsRead++
          this.#dials.delete(event.id)
        }
        if (event.type === 'Connected') this.#connected.add(event.peerId)
        if (event.type === 'Disconnected') this.#connected.delete(event.peerId)
        this.#eventsRead++
        Atomics.add(this.#control, Word.controlRead, 1)
        return event
      }
    }
  }

  #takeMessage(): P2pEvent {
    const length = readPrefix(this.#bytes, this.#at, this.#end)
    const begin = this.#at + prefixBytes(length)
    this.#at = begin + length
    const data = this.#pool.copy(this.#bytes, begin, this.#at)
    this.#frames--
    this.#eventsRead++
    Atomics.add(this.#control, Word.bytesRead, data.length)
    Atomics.add(this.#control, Word.messagesRead, 1)
    return { type: 'Data', peerId: this.#from, data }
  }

  #settle(): P2pEvent {
    const ledger = this.#ledger!
    const id = ledger.settle()
    return this.#outcome === undefined
      ? { type: 'Status', peerId: ledger.peerId, id, ok: true }
      : { type: 'Status', peerId: ledger.peerId, id, ok: false, reason: this.#outcome }
  }

  /**
   * The runtime has ended and all it published is read: its failure, then the end of everything it has left open, of
   * messages, peers and dials. One that was stopped in good order leaves messages only.
   */
  #takeLeftover(): P2pEvent | undefined {
    this.#leftAlone = true
    const failure = this.#failure
    if (failure !== undefined) {
      this.#failure = undefined
      return failure
    }
    const failed = Atomics.load(this.#control, Word.state) === RuntimeState.failed
    // A dead runtime may have written the messages: that is not known. A stopped one told all it knew.
    this.#outcome = failed ? 'connection-lost' : 'stopped'
    this.#leftovers ??= this.#ledgers.unsettled()
    while (this.#ledger === undefined || this.#ledger.count === 0) {
      const next = this.#leftovers.next()
      if (next.done === true)
        return this.#partFromAll(failed ? 'the runtime failed' : 'this node was stopped')
      this.#ledger = next.value
    }
    return this.#settle()
  }

  #partFromAll(reason: string): P2pEvent | undefined {
    const [peerId] = this.#connected
    if (peerId !== undefined) {
      this.#connected.delete(peerId)
      return { type: 'Disconnected', peerId, code: 'stopped', reason }
    }
    const [dial] = this.#dials
    if (dial === undefined) return undefined
    const [id, remote] = dial
    this.#dials.delete(id)
    const message = `dial ended: ${reason}`
    return { type: 'Error', code: 'ERR_DIAL_FAILED', message, peerId: remote, id, why: 'denied' }
  }
}
