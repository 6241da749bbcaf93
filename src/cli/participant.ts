import { generatePrivateKey, peerIdFromPrivateKey } from '../identity/index.ts'
import { P2p } from '../p2p.ts'
import { readAllowListFile } from '../allow-list/index.ts'
import type { AllowListContent } from '../allow-list/index.ts'
import { Desk } from './desk.ts'
import type { Duties, Order, Progress, Report } from './duties.ts'
import { receiveFile } from './file-receiver.ts'
import { sendFile } from './file-sender.ts'
import { guard, lead } from './operator.ts'
import { follow } from './verifier.ts'

/**
 * One process of the demo: performs duties until it may leave. Every duty that has to do with messages is synchronous
 * from its first line to its last, as a BitVMX node is: no turn of this process's event loop happens in between.
 */
export async function participate(): Promise<void> {
  // Ctrl-C reaches every process of the terminal; the one that the user started decides what follows from it.
  process.on('SIGINT', () => {})
  // When that one disappears between two duties, this tells; during one, the desk does.
  process.on('disconnect', () => process.exit(1))
  for await (const order of orders()) {
    try {
      tell({ gives: await perform(order) })
    } catch (err) {
      tell({ failed: err instanceof Error ? err.message : String(err) })
    }
    if (order.duty === 'leave') break
  }
  process.removeAllListeners('disconnect')
  process.disconnect()
}

let privateKey: Uint8Array
let allowList: AllowListContent
let p2p: P2p
let desk: Desk

async function perform(order: Order): Promise<object> {
  switch (order.duty) {
    case 'introduce':
      privateKey = await generatePrivateKey(order.takes.keyType)
      return { peerId: peerIdFromPrivateKey(privateKey) } satisfies Duties['introduce']['gives']
    case 'readAllowList':
      allowList = readAllowListFile(order.takes.path)
      return {}
    case 'start': {
      const { limits } = order.takes
      p2p = P2p.start('127.0.0.1:0', privateKey, { allowList, limits })
      desk = new Desk(p2p)
      return { address: p2p.addresses[0]! } satisfies Duties['start']['gives']
    }
    case 'dial':
      return desk.dial(order.takes) satisfies Duties['dial']['gives']
    case 'lead':
      return lead(desk, order.takes, progress) satisfies Duties['lead']['gives']
    case 'follow':
      return follow(desk, order.takes) satisfies Duties['follow']['gives']
    case 'guard':
      return guard(desk, order.takes) satisfies Duties['guard']['gives']
    case 'sendFile':
      return sendFile(desk, order.takes) satisfies Duties['sendFile']['gives']
    case 'receiveFile':
      return receiveFile(desk, order.takes, progress) satisfies Duties['receiveFile']['gives']
    case 'leave':
      p2p.stop()
      await p2p.runtime.closed
      return {}
  }
}

async function* orders(): AsyncGenerator<Order> {
  for (;;) yield await new Promise<Order>(resolve => process.once('message', resolve))
}

/** Small enough to be written at once, also in the middle of a duty. */
function tell(report: Report): void {
  process.send?.(report)
}

function progress(progressNow: Progress): void {
  tell({ progress: progressNow })
}
