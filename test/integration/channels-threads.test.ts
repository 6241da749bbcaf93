import { MessageChannel, receiveMessageOnPort, Worker } from 'node:worker_threads'
import type { MessagePort } from 'node:worker_threads'
import { expect, it, onTestFinished } from 'vitest'
import { DroppedSource } from '../../dist/application/dropped-source.js'
import { P2pEventSource } from '../../dist/application/event-source.js'
import { ReceiverChannel } from '../../dist/application/receiver.js'
import { SendLedgers } from '../../dist/application/send-ledger.js'
import { createSender } from '../../dist/application/sender.js'
import type { Sender } from '../../dist/application/sender.js'
import {
  createControlBlock,
  createDroppedMemory,
  DOORBELL,
  QueueReader,
  QueueWriter,
  RuntimeState,
  Word
} from '../../dist/bridge/index.js'
import type { ControlBlock, P2pEvent, PriorityEvent, QueueNotice } from '../../dist/bridge/index.js'
import type { ReceiverLimits } from '../../dist/runtime/event-writer.js'

const MIB = 1024 * 1024

function nothing(): void {}

/** The application's ends of the three channels; the other ends echo, on a thread of their own. */
class Application {
  readonly control: ControlBlock = createControlBlock()
  readonly sender: Sender
  readonly receiver: ReceiverChannel<P2pEvent>
  readonly priority: ReceiverChannel<PriorityEvent>
  readonly #port: MessagePort
  readonly #eventQueue: QueueReader
  readonly #droppedQueue: QueueReader

  constructor(receiving: ReceiverLimits, sending: { messages: number; bytes: number }) {
    const { control } = this
    Atomics.store(control, Word.state, RuntimeState.running)
    const droppedMemory = createDroppedMemory()
    const { port1, port2 } = new MessageChannel()
    this.#port = port1
    const worker = new Worker(new URL('../support/programs/echo-runtime.mjs', import.meta.url), {
      workerData: { port: port2, control, droppedMemory, limits: receiving },
      transferList: [port2]
    })
    worker.once('error', error => {
      throw error
    })
    onTestFinished(async () => {
      await worker.terminate()
    })

    const fetch = (): void => this.#fetch()
    this.#eventQueue = new QueueReader(fetch)
    this.#droppedQueue = new QueueReader(fetch)
    const ledgers = new SendLedgers()
    const dials = new Map<number, string>()
    this.receiver = new ReceiverChannel({
      control,
      source: new P2pEventSource(control, this.#eventQueue, ledgers, dials),
      signal: Word.receiverSignal,
      armed: Word.receiverArmed,
      assertAlive: nothing,
      waiting: nothing
    })
    this.priority = new ReceiverChannel({
      control,
      source: new DroppedSource(control, droppedMemory, this.#droppedQueue),
      signal: Word.prioritySignal,
      armed: Word.priorityArmed,
      assertAlive: nothing,
      waiting: nothing
    })
    this.sender = createSender({
      control,
      queue: new QueueWriter(notice => port1.postMessage({ queue: 'commands', ...notice })),
      ledgers,
      dials,
      limits: { ...sending, messageBytes: 8 * MIB },
      self: 'peer-self',
      ring: () => port1.postMessage(DOORBELL),
      ending: nothing,
      parsePeerId: text => String(text),
      parseAddress: text => String(text)
    })
    port1.on('message', message => this.#take(message as QueueNotice | typeof DOORBELL))
  }

  /** The next event; waits for it, but not for ever. */
  next(): P2pEvent {
    const event = this.receiver.recv(10_000)
    if (event === undefined) throw new Error('no event for 10 s')
    return event
  }

  /** Has the other thread do something. */
  start(job: string, parameters: object = {}): void {
    this.sender.dial('peer-0', JSON.stringify({ job, ...parameters }))
  }

  #fetch(): void {
    let next
    while ((next = receiveMessageOnPort(this.#port)) !== undefined) this.#take(next.message as QueueNotice)
  }

  #take(message: QueueNotice | typeof DOORBELL): void {
    if (message === DOORBELL) {
      queueMicrotask(() => {
        this.receiver.pump()
        this.priority.pump()
      })
    } else (message.queue === 'events' ? this.#eventQueue : this.#droppedQueue).announce(message)
  }
}

/** Numbers that look random and are the same each time (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Messages of all sizes: mostly small, some above 1 MiB, some empty. Every byte depends on number and place. */
class Messages {
  readonly #long = new Uint8Array(3 * MIB)
  readonly sizes: number[]

  constructor(count: number, seed: number) {
    const random = randomFrom(seed)
    for (let i = 0; i < this.#long.length; i++) this.#long[i] = (i * 31 + (i >>> 8) * 7) & 0xff
    this.sizes = Array.from({ length: count }, () => {
      const kind = random()
      if (kind < 0.05) return 0
      if (kind < 0.9) return Math.floor(random() * 300)
      if (kind < 0.998) return Math.floor(random() * 20_000)
      return Math.floor(random() * 2 * MIB)
    })
  }

  at(number: number): Uint8Array {
    return this.#long.subarray(number % 1_009, (number % 1_009) + this.sizes[number]!)
  }

  matches(number: number, data: Uint8Array): boolean {
    return Buffer.compare(this.at(number), data) === 0
  }
}

it.each([
  ['that reads at once', 1],
  ['that reads in gulps', 3_000]
])(
  'an application %s finds every message it sends echoed, in order and byte for byte, and settled once',
  (_, gulp) => {
    const COUNT = 60_000
    const PEERS = 3
    const messages = new Messages(COUNT, gulp)
    const application = new Application(
      { messages: 1e6, bytes: 2 ** 30 },
      { messages: 5_000, bytes: 32 * MIB }
    )
    const { sender, receiver } = application

    /** Ids that are not settled, and numbers of messages not echoed, of each peer. */
    const ids = Array.from({ length: PEERS }, () => [] as number[])
    const numbers = Array.from({ length: PEERS }, () => [] as number[])
    const heads = { ids: Array.from(ids, () => 0), numbers: Array.from(ids, () => 0) }
    let settled = 0
    let echoed = 0
    const take = (event: P2pEvent): void => {
      if (event.type === 'Status') {
        const peer = Number(event.peerId.slice(5))
        if (!event.ok || event.id !== ids[peer]![heads.ids[peer]!++])
          throw new Error(`Status ${event.id} at ${settled}`)
        settled++
      } else if (event.type === 'Data') {
        const peer = Number(event.peerId.slice(5))
        const number = numbers[peer]![heads.numbers[peer]!++]!
        if (!messages.matches(number, event.data)) throw new Error(`message ${number} came back different`)
        echoed++
      } else throw new Error(JSON.stringify(event))
    }

    const random = randomFrom(7)
    for (let number = 0; number < COUNT; number++) {
      const peer = number % 50 < 40 ? 0 : Math.floor(random() * PEERS)
      for (;;) {
        try {
          ids[peer]!.push(sender.sendMsg(`peer-${peer}`, messages.at(number)))
          numbers[peer]!.push(number)
          break
        } catch {
          take(application.next())
        }
      }
      if (number % gulp === 0) for (const event of receiver.drain()) take(event)
    }
    for (let rest = 2 * COUNT - settled - echoed; rest > 0; rest--) take(application.next())
    expect([settled, echoed]).toEqual([COUNT, COUNT])
    expect(receiver.length).toBe(0)
  }
)

it('what a full receiver channel has no room for is counted, and nothing else is', () => {
  const COUNT = 30_000
  const application = new Application({ messages: 50, bytes: MIB }, { messages: 1_000, bytes: 32 * MIB })
  const { sender, priority } = application
  const messages = new Messages(COUNT, 99)
  let settled = 0
  let echoed = 0
  let echoedBytes = 0
  let last = -1
  let dropped = 0
  let droppedBytes = 0
  const look = (event: P2pEvent | undefined): void => {
    if (event?.type === 'Status') settled++
    else if (event?.type === 'Data') {
      // What is taken comes in order: it is the next of those sent that matches.
      do last++
      while (last < COUNT && !messages.matches(last, event.data))
      if (last >= COUNT) throw new Error('a message came back that was not sent, or twice')
      echoed++
      echoedBytes += event.data.length
    }
    for (const count of priority.drain()) {
      dropped += count.messages
      droppedBytes += count.bytes
    }
  }
  let bytes = 0
  for (let number = 0; number < COUNT; number++) {
    bytes += messages.sizes[number]!
    for (let sent = false; !sent;) {
      try {
        sender.sendMsg('peer-0', messages.at(number))
        sent = true
      } catch {
        look(application.next())
      }
    }
  }
  for (let rest = COUNT - settled; rest > 0; rest = COUNT - settled) look(application.next())
  look(undefined)
  expect(settled).toBe(COUNT)
  expect(dropped).toBeGreaterThan(0)
  expect(echoed + dropped).toBe(COUNT)
  expect(echoedBytes + droppedBytes).toBe(bytes)
})

it('a blocked reader is woken for every event: 20,000 rounds in lock step', () => {
  const application = new Application({ messages: 10, bytes: MIB }, { messages: 10, bytes: MIB })
  const { sender } = application
  for (let round = 0; round < 20_000; round++) {
    const id = sender.sendMsg('peer-0', Uint8Array.of(round & 0xff))
    const kinds = [application.next().type, application.next().type]
    if (kinds.join() !== 'Data,Status') throw new Error(`round ${round}, message ${id}: ${kinds.join()}`)
  }
  expect(application.receiver.length).toBe(0)
})

it('an awaiting reader is woken for every event: 5,000 rounds in lock step', async () => {
  const application = new Application({ messages: 10, bytes: MIB }, { messages: 10, bytes: MIB })
  const { sender, receiver } = application
  for (let round = 0; round < 5_000; round++) {
    sender.sendMsg('peer-0', Uint8Array.of(round & 0xff))
    const signal = AbortSignal.timeout(10_000)
    const kinds = [await receiver.recvAsync({ signal }), await receiver.recvAsync({ signal })]
    if (kinds.map(event => event?.type).join() !== 'Data,Status') throw new Error(`round ${round}`)
  }
  application.start('end')
  expect(await receiver.recvAsync()).toMatchObject({ type: 'AlreadyConnected' })
  expect(await receiver.recvAsync()).toBeUndefined()
  expect(receiver.closed).toBe(true)
})

it('drops counted by one thread while the other reads them add up', () => {
  const TIMES = 1_000_000
  const PEERS = 5
  const application = new Application({ messages: 1, bytes: 1 }, { messages: 1, bytes: 1 })
  application.start('drop', { times: TIMES, peers: PEERS })

  const told = Array.from({ length: PEERS }, () => ({ messages: 0, bytes: 0, events: 0 }))
  for (;;) {
    const event = application.priority.recv(10_000)
    if (event === undefined) break
    const peer = told[Number(event.peerId.slice(5))]!
    peer.messages += event.messages
    peer.bytes += event.bytes
    peer.events++
    if (application.priority.length < 0 || application.priority.length > PEERS) throw new Error('length')
  }

  expect(application.priority.closed).toBe(true)
  const expected = told.map(() => ({ messages: 0, bytes: 0 }))
  for (let i = 0; i < TIMES; i++) {
    expected[i % PEERS]!.messages += 1 + (i % 3)
    expected[i % PEERS]!.bytes += i % 1000
  }
  expect(told.map(({ messages, bytes }) => ({ messages, bytes }))).toEqual(expected)
  // Both threads were at it at once, or this has shown nothing.
  expect(told[0]!.events).toBeGreaterThan(10)
})
