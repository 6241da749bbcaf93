import { types } from 'node:util'
import { copyInto } from '../memory/index.ts'
import { P2pError, shown } from '../errors.ts'
import { prefixBytes, writePrefix } from '../framing/index.ts'
import type { SendLedger, SendLedgers, LedgerLimits } from './send-ledger.ts'
import { CommandRecord, encodeText, hasEnded, RuntimeState, Word } from '../bridge/index.ts'
import type { Command, ControlBlock, QueueWriter, PlainCommand } from '../bridge/index.ts'
import { MAX_DIAL_ADDRESSES, MAX_DRAIN_MS, MAX_UNSETTLED_DIALS } from './limits.ts'

/** The sender channel: hands commands to the network thread. Nothing here blocks or waits for the network. */
export interface Sender {
  /**
   * Hands over a command; its id, which the outcome will carry. The caller may reuse `data` after the call.
   *
   * @throws P2pError ERR_INVALID_PEER_ID, ERR_INVALID_ADDRESS, ERR_INVALID_OPTION (not a command),
   * ERR_MESSAGE_TOO_LARGE (more than `limits.maxMessageBytes`), ERR_SENDER_FULL (`limits.senderMessages` or
   * `senderBytes` of this peer are handed over and their Status not yet read), ERR_CLOSED (after the end)
   */
  send: (command: Command) => number
  /**
   * `send({ type: 'Dial', … })`: ends in exactly one event with this id. `Connected`: the peer became reachable, and this
   * is the dial that had waited longest. `AlreadyConnected`: it became, or was, reachable otherwise; a connection that has
   * been quiet is asked for a sign of life first, and if it gives none in `limits.handshakeTimeoutMs`, it ends and the dial
   * goes on. `Error`: anything else.
   *
   * @param address one address, or 1 to 16 in order of preference. Names are resolved when they are dialled. All addresses
   * of all of them that the allow list has the peer at are tried: the next when the one before has failed, or beside it
   * after 250 ms. `limits.handshakeTimeoutMs` is for all of it. An `Error` names what happened at each, and its `why` is
   * the most telling of it; it has an `ip` when there was one only.
   */
  dial: (peerId: string, address: string | readonly string[]) => number
  /** `send({ type: 'SendMsg', … })`: ends in exactly one `Status` with this id. */
  sendMsg: (peerId: string, data: Uint8Array) => number
  /** `send({ type: 'DisconnectFrom', … })`: without a peer ID everybody is disconnected and the runtime ends. */
  disconnectFrom: (peerId?: string) => number
}

/** What the sender channel is made of. Parsing peer IDs and addresses is left to rooms that know libp2p. */
export interface SenderInit {
  control: ControlBlock
  queue: QueueWriter
  ledgers: SendLedgers
  limits: LedgerLimits & { messageBytes: number }
  /** Own peer ID: a node does not talk to itself. */
  self: string
  /** Rings for the runtime thread. */
  ring: () => void
  /** The runtime has just been told to end. */
  ending: () => void
  /** Canonical peer ID. @throws P2pError ERR_INVALID_PEER_ID */
  parsePeerId: (text: unknown) => string
  /** Dialable multiaddr text, checked against the peer ID. @throws P2pError ERR_INVALID_ADDRESS */
  parseAddress: (text: unknown, peerId: string) => string
  /** Dials handed over and not yet answered, with their peers; the reader of their outcomes strikes them out. */
  dials: Map<number, string>
}

/** The sender channel of one P2p. */
export function createSender(init: SenderInit): SenderChannel {
  return new SenderChannel(init)
}

export class SenderChannel implements Sender {
  readonly #init: SenderInit
  #lastId = 0
  /** The runtime has been told to end when what is under way has its outcome. */
  #isDraining = false

  constructor(init: SenderInit) {
    this.#init = init
  }

  send(command: Command): number {
    const given: unknown = command
    switch (command?.type) {
      case 'Dial':
        return this.dial(command.peerId, command.address)
      case 'SendMsg':
        return this.sendMsg(command.peerId, command.data)
      case 'DisconnectFrom':
        return this.disconnectFrom(command.peerId)
      default:
        throw new P2pError(
          'ERR_INVALID_OPTION',
          `not a command: ${isObject(given) ? `type is ${shown(given['type'])}` : shown(given)}, ` +
            `wanted an object whose type is 'Dial', 'SendMsg' or 'DisconnectFrom'`
        )
    }
  }

  dial(peerId: string, address: string | readonly string[]): number {
    this.#assertOpen()
    const { dials } = this.#init
    const peer = this.#parseRemote(peerId)
    const addresses = this.#parseAddresses(address, peer)
    if (dials.size >= MAX_UNSETTLED_DIALS) {
      throw new P2pError(
        'ERR_SENDER_FULL',
        `${dials.size} dials have no outcome yet that was read from the receiver channel: read it, then dial again`
      )
    }
    const id = ++this.#lastId
    dials.set(id, peer)
    this.#post({ type: 'Dial', id, peerId: peer, addresses })
    return id
  }

  sendMsg(peerId: string, data: Uint8Array): number {
    this.#assertOpen()
    const { ledgers, queue, limits } = this.#init
    // not instanceof, which a proxy and whatever else inherits from Uint8Array.prototype passes
    if (!types.isUint8Array(data)) {
      throw new P2pError('ERR_INVALID_OPTION', `data is ${shown(data)}, wanted a Uint8Array`)
    }
    const size = data.length
    if (size > limits.messageBytes) {
      throw new P2pError(
        'ERR_MESSAGE_TOO_LARGE',
        `the message has ${size} bytes, limits.maxMessageBytes is ${limits.messageBytes}`
      )
    }
    const ledger = ledgers.find(peerId) ?? this.#openLedger(peerId)
    // A message above `limits.senderBytes` goes alone, else it could never go.
    if (ledger.count >= limits.messages || (ledger.count > 0 && ledger.bytes + size > limits.bytes)) {
      throw senderFull(ledger, limits)
    }

    queue.reserve(prefixBytes(size) + size)
    const begin = writePrefix(queue.bytes, queue.at, size)
    if (size > 0) copyInto(queue.bytes, begin, data)
    queue.commit(CommandRecord.send, ledger.handle, begin + size - queue.at, 0, 0)
    const id = ++this.#lastId
    ledger.add(id, size)
    this.#wake()
    return id
  }

  disconnectFrom(peerId?: string): number {
    if (peerId === undefined) return this.stop(0)
    this.#assertOpen()
    const id = ++this.#lastId
    this.#post({ type: 'DisconnectFrom', id, peerId: this.#parseRemote(peerId) })
    return id
  }

  /**
   * Ends the runtime, at once or when what is under way has its outcome, `drainMs` later at the latest. Nothing more is
   * accepted. A further call without a wait ends one that is going on.
   *
   * @throws P2pError ERR_INVALID_OPTION
   */
  stop(drainMs: number): number {
    if (!Number.isInteger(drainMs) || drainMs < 0 || drainMs > MAX_DRAIN_MS) {
      throw new P2pError(
        'ERR_INVALID_OPTION',
        `drainMs is ${shown(drainMs)}, wanted a whole number from 0 to ${MAX_DRAIN_MS}`
      )
    }
    const { control, ending } = this.#init
    const id = ++this.#lastId
    const { running, stopping } = RuntimeState
    const before = Atomics.compareExchange(control, Word.state, running, stopping)
    const hurries = before === stopping && this.#isDraining && drainMs === 0
    if (before !== running && !hurries) return id
    this.#isDraining = drainMs > 0
    this.#post({ type: 'DisconnectFrom', id, ...(drainMs > 0 && { drainMs }) })
    ending()
    return id
  }

  #assertOpen(): void {
    const { control } = this.#init
    const state = Atomics.load(control, Word.state)
    if (state === RuntimeState.running) return
    const why = hasEnded(control) ? (state === RuntimeState.failed ? 'has failed' : 'has ended') : 'is ending'
    throw new P2pError('ERR_CLOSED', `the runtime ${why}: nothing can be handed to it any more`)
  }

  #parseRemote(text: string): string {
    const { parsePeerId, self } = this.#init
    const peerId = parsePeerId(text)
    if (peerId === self) {
      throw new P2pError('ERR_INVALID_PEER_ID', `${peerId} is this node's own peer ID, wanted another node's`)
    }
    return peerId
  }

  /** Each once. */
  #parseAddresses(given: unknown, peerId: string): string[] {
    const { parseAddress } = this.#init
    if (!Array.isArray(given)) return [parseAddress(given, peerId)]
    if (given.length === 0 || given.length > MAX_DIAL_ADDRESSES) {
      throw new P2pError(
        'ERR_INVALID_ADDRESS',
        `address is an array of ${given.length}, wanted an address or an array of 1 to ${MAX_DIAL_ADDRESSES}`
      )
    }
    // not `map`, which passes over holes
    return [...new Set(Array.from<unknown, string>(given, address => parseAddress(address, peerId)))]
  }

  #openLedger(text: string): SendLedger {
    const { ledgers, queue } = this.#init
    return ledgers.open(text, this.#parseRemote(text), handle => {
      this.#write(CommandRecord.peer, handle, this.#parseRemote(text), queue)
    })
  }

  #post(command: PlainCommand): void {
    this.#write(CommandRecord.command, 0, JSON.stringify(command), this.#init.queue)
    this.#wake()
  }

  #write(kind: number, handle: number, text: string, queue: QueueWriter): void {
    const payload = encodeText(text)
    queue.reserve(payload.length)
    queue.bytes.set(payload, queue.at)
    queue.commit(kind, handle, payload.length, 0, 0)
  }

  /** One doorbell is enough until the runtime has begun to look. */
  #wake(): void {
    const { control, ring } = this.#init
    if (Atomics.exchange(control, Word.commandsRung, 1) === 0) ring()
  }
}

function senderFull(ledger: SendLedger, limits: LedgerLimits): P2pError {
  return new P2pError(
    'ERR_SENDER_FULL',
    `${ledger.count} messages (${ledger.bytes} bytes) to ${ledger.peerId} are handed over and their Status not yet read; ` +
      `limits.senderMessages is ${limits.messages}, limits.senderBytes ${limits.bytes}: read the receiver channel`
  )
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
