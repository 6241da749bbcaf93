/** A program in TypeScript that uses every public type. It is compiled and not run, as an ES module and as CommonJS. */
import {
  formatAllowList,
  generatePrivateKey,
  P2p,
  P2pError,
  parseAllowList,
  peerIdFromPrivateKey,
  publicKeyHash,
  readAllowListFile,
  writeAllowListFile
} from 'bitvmx-p2p'
import type {
  AllowList,
  AllowListContent,
  AllowListEntry,
  Command,
  KeyType,
  Limits,
  MisbehaviourCause,
  Offender,
  P2pErrorCode,
  P2pEvent,
  P2pOptions,
  PriorityEvent,
  PrivateKeyInput,
  RateLimit,
  Receiver,
  RecvOptions,
  Runtime,
  RuntimeSnapshot,
  Sender,
  StatusFailure
} from 'bitvmx-p2p'

/** With `exactOptionalPropertyTypes`: undefined is the same as left out, at every level. */
export const nothing: P2pOptions[] = [
  {},
  { allowList: undefined, rateLimit: undefined, limits: undefined },
  { allowList: [{ peerId: 'Qm', ips: undefined }], limits: { maxMessageBytes: undefined } },
  { rateLimit: { capacity: undefined, refillPerSecond: undefined, costs: undefined } },
  { rateLimit: { costs: { 'failed-handshake': undefined } } }
]

/** What stays an error. */
export const wrong: P2pOptions[] = [
  // @ts-expect-error: no such limit
  { limits: { maxMessageSize: 1 } },
  // @ts-expect-error: no such cause
  { rateLimit: { costs: { rudeness: 1 } } },
  // @ts-expect-error: not a list
  { allowList: 'nobody' }
]

/** Every event is told apart by what it says. */
export function told(event: P2pEvent): string {
  switch (event.type) {
    case 'Data':
      return `${event.peerId}: ${event.data.length}`
    case 'Status': {
      if (event.ok) return textOf(event.reason)
      const why: StatusFailure = event.reason
      return why
    }
    case 'ConnectionLimit': {
      const cause: MisbehaviourCause = event.cause
      return `${payer(event)}: ${cause}`
    }
    case 'Error': {
      const code: P2pErrorCode = event.code
      return `${code}: ${event.message}`
    }
    case 'Connected':
    case 'Disconnected':
      return event.peerId
    default:
      return '' // others may come
  }
}

function textOf(nothingFailed: undefined): string {
  return String(nothingFailed)
}

export function payer(offender: Offender): string {
  const name: string = offender.peerId ?? offender.ip
  if (offender.ip === undefined) return offender.peerId
  return offender.ip === name ? name : ''
}

export function emptiest({ buckets, peers, receiver }: RuntimeSnapshot): string | undefined {
  const [bucket] = buckets
  return bucket === undefined
    ? peers[0]?.address
    : `${payer(bucket)} ${bucket.debits[0]?.cause} ${receiver.dropped}`
}

export async function use(key: PrivateKeyInput, type?: KeyType): Promise<void> {
  const p2p: P2p = P2p.start('127.0.0.1:0', key)
  const other = await P2p.startAsync(['127.0.0.1:0'], await generatePrivateKey(type), nothing[0])
  const sender: Sender = p2p.sender
  const receiver: Receiver<P2pEvent> = p2p.receiver
  const priority: Receiver<PriorityEvent> = p2p.priority
  const allowList: AllowList = p2p.allowList
  const runtime: Runtime = p2p.runtime
  const entry: AllowListEntry = { peerId: publicKeyHash(key) }
  const command: Command = { type: 'SendMsg', peerId: other.peerId, data: new Uint8Array(1) }
  allowList.add(entry)
  sender.send(command)
  const options: RecvOptions = { signal: undefined }
  const event = receiver.tryRecv() ?? receiver.recv(1) ?? (await receiver.recvAsync(options))
  await receiver.recvAsync({ signal: new AbortController().signal })
  if (event !== undefined) told(event)
  for (const { messages } of priority.drain()) console.log(messages)
  for await (const next of receiver) told(next)
  emptiest(await runtime.inspectAsync())
  p2p.stop()
  await runtime.closed
}

export function lists(path: string, list: AllowListContent): string {
  writeAllowListFile(path, list)
  return formatAllowList(readAllowListFile(path)) + formatAllowList(parseAllowList('allow_all'))
}

export function failure(err: unknown): P2pErrorCode | undefined {
  return err instanceof P2pError ? err.code : undefined
}

export const limits: Partial<Limits> = { maxConnections: 1 }
export const rateLimit: Partial<RateLimit> = { capacity: 1 }
export const name: string = peerIdFromPrivateKey('')

// @ts-expect-error: it is started, not constructed
export const constructed: P2p = new P2p()
