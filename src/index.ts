/**
 * Acknowledged, authenticated messages between known peers, for BitVMX nodes: a synchronous API over libp2p.
 *
 * ```ts
 * import { P2p, generatePrivateKey } from 'bitvmx-p2p'
 *
 * const alice = P2p.start('127.0.0.1:0', await generatePrivateKey(), { allowList: 'allow-all' })
 * const bob = P2p.start('127.0.0.1:0', await generatePrivateKey(), { allowList: 'allow-all' })
 * alice.sender.dial(bob.peerId, bob.addresses[0]!)
 * for (let event = alice.receiver.recv(5_000); event?.type !== 'Status'; event = alice.receiver.recv(5_000)) {
 *   if (event?.type === 'Connected') alice.sender.sendMsg(bob.peerId, Buffer.from('hello'))
 * }
 * alice.stop()
 * bob.stop()
 * ```
 *
 * @packageDocumentation
 */
export { P2p } from './p2p.ts'
export type { StopOptions } from './p2p.ts'
export { P2pError } from './errors.ts'
export type { P2pErrorCode } from './errors.ts'
export { generatePrivateKey, peerIdFromPrivateKey, publicKeyHash } from './identity/index.ts'
export type { KeyType, PrivateKeyInput } from './identity/index.ts'
export { formatAllowList, parseAllowList, readAllowListFile, writeAllowListFile } from './allow-list/index.ts'
export type { AllowListContent, AllowListEntry } from './allow-list/index.ts'
export type { Given, Limits, P2pOptions, RateLimit } from './options.ts'
export type { LogEvent, LogLevel, LogRecord } from './log.ts'
export type { AllowList, Runtime } from './application/controls.ts'
export type {
  Command,
  DialFailure,
  DisconnectCode,
  MisbehaviourCause,
  Offender,
  P2pEvent,
  PriorityEvent,
  RuntimeSnapshot,
  StatusFailure
} from './bridge/index.ts'
export type { Receiver, RecvOptions } from './application/receiver.ts'
export type { Sender } from './application/sender.ts'
