import { generatePrivateKey, P2p, peerIdFromPrivateKey } from 'bitvmx-p2p'
import type { LogRecord, P2pEvent } from 'bitvmx-p2p'
import { expect, onTestFinished, test } from 'vitest'

const DEADLINE_MS = 30_000

/** A node whose log is kept. */
async function start(logLevel?: LogRecord['level']): Promise<{ node: P2p; records: LogRecord[] }> {
  const records: LogRecord[] = []
  const node = P2p.start('127.0.0.1:0', await generatePrivateKey(), {
    allowList: 'allow-all',
    log: record => records.push(record),
    logLevel
  })
  onTestFinished(() => node.stop())
  return { node, records }
}

/** Blocks until this event has been read. */
function read(node: P2p, type: P2pEvent['type']): void {
  for (;;) {
    const event = node.receiver.recv(DEADLINE_MS)
    if (event === undefined) throw new Error(`no ${type}`)
    if (event.type === type) return
  }
}

function events(records: LogRecord[]): string[] {
  return records.map(({ event }) => event)
}

test('an application that only blocks hears of a node’s life from start to stop, in order', async () => {
  const alice = await start()
  const bob = await start('debug')
  alice.node.sender.dial(bob.node.peerId, bob.node.addresses[0]!)
  read(alice.node, 'Connected')
  read(bob.node, 'Connected')
  alice.node.stop()
  read(bob.node, 'Disconnected')
  while (alice.node.receiver.recv(DEADLINE_MS) !== undefined);
  await alice.node.runtime.closed
  expect(events(alice.records)).toEqual(['started', 'connected', 'disconnected', 'stopped'])
  expect(alice.records[0]).toMatchObject({ level: 'info', addresses: alice.node.addresses.join(' ') })
  expect(alice.records[1]).toMatchObject({ peerId: bob.node.peerId, direction: 'outbound' })
  expect(alice.records[2]).toMatchObject({ peerId: bob.node.peerId, code: 'stopped' })

  bob.node.stop()
  await bob.node.runtime.closed
  expect(events(bob.records)).toEqual([
    'started',
    'connection-opened',
    'connected',
    'connection-closed',
    'disconnected',
    'stopped'
  ])
})

test('what offends is told with what was seen, to an application that awaits', async () => {
  const records: LogRecord[] = []
  const key = await generatePrivateKey()
  const told = new Promise<void>(resolve => {
    const node = P2p.start('127.0.0.1:0', key, {
      rateLimit: { capacity: 1, costs: { 'unknown-peer': 2 } },
      log: record => {
        records.push(record)
        if (record.event === 'barred') resolve()
      }
    })
    onTestFinished(() => node.stop())
    void generatePrivateKey().then(strange => {
      const stranger = P2p.start('127.0.0.1:0', strange, { allowList: 'allow-all' })
      onTestFinished(() => stranger.stop())
      stranger.sender.dial(peerIdFromPrivateKey(key), node.addresses[0]!)
    })
  })
  await told
  expect(events(records)).toEqual(['started', 'connection-denied', 'charged', 'barred'])
  expect(records[2]).toMatchObject({ level: 'info', cause: 'unknown-peer', ip: '127.0.0.1' })
  expect(records[3]).toMatchObject({ level: 'warn', cause: 'unknown-peer', ip: '127.0.0.1' })
})

test('a function that throws, reads, and stops its node is called once for each record and spoils nothing', async () => {
  const seen: string[] = []
  const thrown: unknown[] = []
  const listener = (err: unknown): void => void thrown.push(err)
  const others = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException')
  process.on('uncaughtException', listener)
  onTestFinished(() => {
    process.off('uncaughtException', listener)
    for (const other of others) process.on('uncaughtException', other)
  })
  const node = P2p.start('127.0.0.1:0', await generatePrivateKey(), {
    log: ({ event }) => {
      seen.push(event)
      node.receiver.tryRecv()
      node.stop()
      throw new Error(event)
    }
  })
  while (node.receiver.recv(DEADLINE_MS) !== undefined);
  await node.runtime.closed
  await new Promise(resolve => setImmediate(resolve))
  expect(seen).toEqual(['started', 'stopped'])
  expect(thrown).toMatchObject([{ message: 'started' }, { message: 'stopped' }])
})

test('levels that are not wanted are not told; without a function nothing is', async () => {
  const { node, records } = await start('error')
  node.allowList.allowAll(false)
  node.stop()
  await node.runtime.closed
  expect(records).toEqual([])
})
