import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { generatePrivateKey, P2p } from 'bitvmx-p2p'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { connect, startNode } from '../support/node-process.ts'

/** Whatever goes wrong, no process is left behind. */
const BOUNDED = { timeout: 30_000, killSignal: 'SIGKILL' } as const
const program = fileURLToPath(new URL('../support/programs/replaced-globals.mjs', import.meta.url))

describe.each(['before', 'after'])('what is replaced %s the package is imported', when => {
  test.each(['clocks', 'clocks that run backwards', 'turns', 'structuredClone', 'prototypes, frozen'])(
    'is not what it goes by: %s',
    async what => {
      const { stdout } = await promisify(execFile)(process.execPath, [program, what, when], BOUNDED)
      expect(JSON.parse(stdout)).toEqual({
        nothing: 'nothing',
        again: 2,
        connected: 'Connected',
        data: 'hello',
        inspected: 2,
        alive: 'running',
        error: [true, 'P2pError', 'ERR_INVALID_PEER_ID', 'string', 'P2pError'],
        after: 'Disconnected'
      })
    }
  )
})

describe('with the fake timers of a test runner', () => {
  afterEach(() => void vi.useRealTimers())

  test('every way of waiting goes by the real time', async () => {
    const key = await generatePrivateKey()
    // All of them but nextTick, which vitest leaves alone in a process of its own.
    const toFake = [
      ...([
        'setTimeout',
        'clearTimeout',
        'setInterval',
        'clearInterval',
        'setImmediate',
        'clearImmediate'
      ] as const),
      ...(['Date', 'performance', 'queueMicrotask', 'hrtime'] as const)
    ]
    vi.useFakeTimers({ toFake })
    const [alice, bob] = await Promise.all([
      P2p.startAsync('127.0.0.1:0', key, { allowList: 'allow-all' }),
      P2p.startAsync('127.0.0.1:0', await generatePrivateKey(), { allowList: 'allow-all' })
    ])
    expect(alice.receiver.recv(50)).toBeUndefined()
    alice.sender.dial(bob.peerId, bob.addresses[0]!)
    expect(await bob.receiver.recvAsync()).toMatchObject({ type: 'Connected' })
    expect(alice.receiver.recv(30_000)).toMatchObject({ type: 'Connected' })
    alice.stop()
    bob.stop()
    await Promise.all([alice.runtime.closed, bob.runtime.closed])
  })
})

test('a peer that was parted from may come back when the wall clock is set back', async () => {
  const [alice, bob] = await Promise.all([startNode(), startNode()])
  await connect(alice, bob)
  await alice.disconnectFrom(bob)
  await Promise.all([
    alice.event({ type: 'Disconnected', peerId: bob.peerId }),
    bob.event({ type: 'Disconnected', peerId: alice.peerId })
  ])
  await alice.run(async ({ runtimeThread }) => {
    const isSet = new Promise(resolve => runtimeThread.once('message', resolve))
    runtimeThread.postMessage(`
      const { now } = Date
      Date.now = () => now() - 3_600_000
      process.getBuiltinModule('node:worker_threads').parentPort.postMessage('set back')`)
    await isSet
  })
  const id = await bob.dial(alice)
  expect(await bob.event({ type: 'Connected', peerId: alice.peerId, id })).toBeDefined()
  await alice.event({ type: 'Connected', peerId: bob.peerId })
  // It stays: what denies it says so by ending it.
  const message = await bob.sendMsg(alice, Buffer.from('still here'))
  await bob.event({ type: 'Status', id: message, ok: true })
})
