import { getDefaultResultOrder } from 'node:dns'
import { parseDialAddress, parseListenAddress, toMultiaddr } from './addresses/index.ts'
import type { Endpoint } from './addresses/index.ts'
import { createAllowList, createRuntime } from './application/controls.ts'
import type { AllowList, Runtime } from './application/controls.ts'
import { RuntimeThread } from './application/runtime-thread.ts'
import { SendLedgers } from './application/send-ledger.ts'
import { createDroppedMemory, DOORBELL, QueueReader, QueueWriter, Word } from './bridge/index.ts'
import { createSender } from './application/sender.ts'
import { DroppedSource } from './application/dropped-source.ts'
import { P2pEventSource } from './application/event-source.ts'
import { LogReader } from './application/log-reader.ts'
import { ReceiverChannel } from './application/receiver.ts'
import type { P2pEvent, PriorityEvent } from './bridge/index.ts'
import type { Receiver } from './application/receiver.ts'
import type { Sender, SenderChannel } from './application/sender.ts'
import { P2pError, shown } from './errors.ts'
import { canonicalPeerId, peerIdFromPrivateKey, privateKeyBytes } from './identity/index.ts'
import type { PrivateKeyInput } from './identity/index.ts'
import { resolveOptions } from './options.ts'
import type { P2pOptions, ResolvedOptions } from './options.ts'
import { VERSION } from './version.ts'

/** A node must listen somewhere, and a list longer than this is a mistake. */
const MAX_LISTEN_ADDRESSES = 64

declare global {
  // As in `esnext.disposable`, for those who compile without it.
  interface SymbolConstructor {
    readonly dispose: unique symbol
    readonly asyncDispose: unique symbol
  }
}

/** How a node is stopped. */
export interface StopOptions {
  /**
   * What is under way is waited for so long at most, in milliseconds: messages that were handed over and dials get their
   * real outcome. Meanwhile what peers send is still taken and answered; read the receiver channel on, or it is refused as
   * full. A `stop()` without it ends the wait. A whole number from 0 to 2^31 − 1. @default 0: they end as stopped
   */
  drainMs?: number | undefined
}

/**
 * A BitVMX node's end of the network: three channels to a libp2p node that runs in a thread of its own.
 *
 * An application that ends without `stop` is not kept alive by this object; one that awaits a channel is.
 */
export class P2p {
  /** This node's peer ID, of its private key. */
  readonly peerId: string
  /** Multiaddrs it really listens on, each ending in `/p2p/<peerId>`. */
  readonly addresses: string[]
  /** Application to network: dials, messages, and who to part from. */
  readonly sender: Sender
  /** Network to application: messages, and what became of everything. */
  readonly receiver: Receiver<P2pEvent>
  /** Network to application, past the receiver channel: what was dropped because that was full. */
  readonly priority: Receiver<PriorityEvent>
  /** Who may connect and be dialled. */
  readonly allowList: AllowList
  /** The network thread: whether it runs, and what it holds. */
  readonly runtime: Runtime

  readonly #stop: (drainMs: number) => void

  private constructor(assembly: Assembly, addresses: string[]) {
    const { thread, peerId, sender, receiver, priority } = assembly
    this.#stop = drainMs => void sender.stop(drainMs)
    this.peerId = peerId
    this.addresses = addresses
    this.sender = sender
    this.receiver = receiver
    this.priority = priority
    this.allowList = createAllowList(thread)
    this.runtime = createRuntime(thread)
  }

  /**
   * Binds, starts the network thread and returns with every channel live. Blocks the calling thread until the node
   * listens.
   *
   * @param addr `ip:port`, `[ipv6]:port` or a TCP multiaddr, or several; port 0 picks a free one
   * @param privk libp2p protobuf bytes, the same in hex, or PEM text (PKCS#8)
   * @throws P2pError ERR_INVALID_KEY, ERR_INVALID_ADDRESS, ERR_INVALID_OPTION, ERR_INVALID_PEER_ID (allow list),
   * ERR_LISTEN_FAILED, ERR_RUNTIME_FAILED
   */
  static start(addr: string | string[], privk: PrivateKeyInput, options?: P2pOptions): P2p {
    const assembly = assemble(addr, privk, options)
    return new P2p(assembly, assembly.thread.waitUntilStarted())
  }

  /** The same without blocking. */
  static async startAsync(
    addr: string | string[],
    privk: PrivateKeyInput,
    options?: P2pOptions
  ): Promise<P2p> {
    const assembly = assemble(addr, privk, options)
    return new P2p(assembly, await assembly.thread.untilStarted())
  }

  /**
   * Every peer is disconnected and the runtime ends. Nothing more can be handed over (ERR_CLOSED). Idempotent, does not
   * block; `runtime.closed` settles when it has ended. Safe in a handler of a signal.
   *
   * @throws P2pError ERR_INVALID_OPTION
   */
  stop(options: StopOptions = {}): void {
    const given: unknown = options
    if (typeof given !== 'object' || given === null) {
      throw new P2pError('ERR_INVALID_OPTION', `options is ${shown(given)}, wanted { drainMs? }`)
    }
    this.#stop(options.drainMs ?? 0)
  }

  /** `stop()`, at the end of the block of a `using` declaration. */
  [Symbol.dispose](): void {
    this.stop()
  }

  /** `stop()`, and the end of the runtime, at the end of the block of an `await using` declaration. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.stop()
    await this.runtime.closed
  }
}

interface Assembly {
  thread: RuntimeThread
  peerId: string
  sender: SenderChannel
  receiver: Receiver<P2pEvent>
  priority: Receiver<PriorityEvent>
}

/** Checks everything that can be checked here, starts the thread, and puts the channels' ends together. */
function assemble(addr: string | string[], privk: PrivateKeyInput, given: P2pOptions | undefined): Assembly {
  const options = resolveOptions(given)
  const privateKey = privateKeyBytes(privk)
  const peerId = peerIdFromPrivateKey(privateKey)
  const listen = listenAddresses(addr, peerId)

  const dropped = createDroppedMemory()
  const thread: RuntimeThread = new RuntimeThread({
    data: { version: VERSION, dropped, privateKey, listen, resultOrder: getDefaultResultOrder(), options },
    workerUrl: options.workerUrl,
    segment: notice => (notice.queue === 'events' ? eventQueue : droppedQueue).announce(notice),
    wake: () => {
      receiver.pump()
      priority.pump()
    },
    died: err => source.fail(err),
    log: records => logReader?.take(records)
  })
  const { control } = thread
  const fetch = (): void => thread.fetch()
  const eventQueue = new QueueReader(fetch)
  const droppedQueue = new QueueReader(fetch)
  const ledgers = new SendLedgers()
  const dials = new Map<number, string>()
  const source = new P2pEventSource(control, eventQueue, ledgers, dials)
  const log = given?.log
  const logReader = log === undefined ? undefined : new LogReader({ control, log, fetch })
  if (logReader !== undefined) void thread.closed.then(() => logReader.flush())
  const awaiting = {
    ...(logReader !== undefined && { beforeRead: () => logReader.beforeRead() }),
    assertAlive: () => thread.assertAlive(),
    waiting: (change: 1 | -1) => thread.keepAlive(change)
  }
  const receiver = new ReceiverChannel<P2pEvent>({
    control,
    source,
    signal: Word.receiverSignal,
    armed: Word.receiverArmed,
    ...awaiting
  })
  const priority = new ReceiverChannel<PriorityEvent>({
    control,
    source: new DroppedSource(control, dropped, droppedQueue),
    signal: Word.prioritySignal,
    armed: Word.priorityArmed,
    ...awaiting
  })
  const sender = createSender({
    control,
    queue: new QueueWriter(notice => thread.post({ queue: 'commands', ...notice })),
    ledgers,
    dials,
    limits: senderLimits(options),
    self: peerId,
    ring: () => thread.post(DOORBELL),
    ending: () => thread.awaitEnd(),
    parsePeerId: canonicalPeerId,
    parseAddress: dialAddress
  })
  return { thread, peerId, sender, receiver, priority }
}

function senderLimits({ limits }: ResolvedOptions): {
  messages: number
  bytes: number
  messageBytes: number
} {
  return { messages: limits.senderMessages, bytes: limits.senderBytes, messageBytes: limits.maxMessageBytes }
}

function listenAddresses(addr: string | string[], self: string): string[] {
  const list: unknown[] = Array.isArray(addr) ? addr : [addr]
  if (list.length === 0 || list.length > MAX_LISTEN_ADDRESSES) {
    throw new P2pError(
      'ERR_INVALID_ADDRESS',
      `addr is ${shown(addr)}, wanted an address or an array of 1 to ${MAX_LISTEN_ADDRESSES}`
    )
  }
  // not `map`, which passes over holes
  return Array.from(list, address => addressOf(self, address, parseListenAddress(address)))
}

function dialAddress(text: unknown, peerId: string): string {
  return addressOf(peerId, text, parseDialAddress(text))
}

/** An address of this peer as multiaddr text; if it names a peer itself, that must be the one. */
function addressOf(peerId: string, text: unknown, { peerId: named, ...endpoint }: Endpoint): string {
  if (named !== undefined && canonicalPeerId(named) !== peerId) {
    throw new P2pError('ERR_INVALID_ADDRESS', `the address ${shown(text)} names another peer than ${peerId}`)
  }
  return toMultiaddr(endpoint)
}
