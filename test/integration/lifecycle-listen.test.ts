import { execFile, spawnSync } from 'node:child_process'
import { createServer } from 'node:net'
import type { AddressInfo, Server } from 'node:net'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { generatePrivateKey, P2p, P2pError } from 'bitvmx-p2p'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { connectLocal, observe, portOf, startLocal } from '../support/local-node.ts'
import { eventually, listenersAt, threadCount } from '../support/proc.ts'
import { closedAddress } from '../support/strangers.ts'

const servers: Server[] = []
let key: Uint8Array
let busy4: number
let busy6: number

async function occupy(host: string): Promise<number> {
  const server = createServer()
  servers.push(server)
  await new Promise<void>(resolve => server.listen(0, host, resolve))
  return (server.address() as AddressInfo).port
}

beforeAll(async () => {
  key = await generatePrivateKey()
  busy4 = await occupy('127.0.0.1')
  busy6 = await occupy('::1')
})
afterAll(() => {
  for (const server of servers) server.close()
})

async function failure(addr: string | string[], start = startBlocking): Promise<P2pError> {
  const error = await start(addr).then(
    p2p => p2p.stop(),
    (err: unknown) => err
  )
  expect(error).toBeInstanceOf(P2pError)
  return error as P2pError
}

const startBlocking = async (addr: string | string[]): Promise<P2p> => P2p.start(addr, key)
const startAsync = async (addr: string | string[]): Promise<P2p> => P2p.startAsync(addr, key)

describe.each([
  ['start', startBlocking],
  ['startAsync', startAsync]
] as const)('P2p.%s', (_, start) => {
  test('says which address is in use, and leaves no thread behind', async () => {
    // The first failure also starts the threads that Node keeps for itself.
    await failure(`127.0.0.1:${busy4}`, start)
    const before = threadCount()
    const { code, message } = await failure(`127.0.0.1:${busy4}`, start)
    expect(code).toBe('ERR_LISTEN_FAILED')
    expect(message).toBe(`cannot listen on /ip4/127.0.0.1/tcp/${busy4}: the address is in use`)
    await eventually('as many threads as before', () => threadCount() <= before)
  })

  test('refuses what is no address to listen on, without a try', async () => {
    for (const addr of ['127.0.0.1:65536', '127.0.0.1:-1', '127.0.0.1:4e3', '127.0.0.1', 'localhost:0']) {
      const { code, message } = await failure(addr, start)
      expect(code).toBe('ERR_INVALID_ADDRESS')
      expect(message).toContain(`'${addr}'`)
    }
  })
})

test('an address that is not one of this machine is told as such', async () => {
  // TEST-NET-3 (RFC 5737): nobody's.
  const { code, message } = await failure('203.0.113.7:0')
  expect(code).toBe('ERR_LISTEN_FAILED')
  expect(message).toBe('cannot listen on /ip4/203.0.113.7/tcp/0: this machine has no such address')
})

test.for([
  ['in use', () => `127.0.0.1:${busy4}`],
  // libp2p itself takes a failure of all IPv6 addresses for a machine without IPv6.
  ['in use, and the only IPv6 address', () => `[::1]:${busy6}`]
] as const)('nothing is bound when one of several addresses is %s', async ([, other]) => {
  const free = await closedAddress()
  const { code, message } = await failure([free, other()], startAsync)
  expect(code).toBe('ERR_LISTEN_FAILED')
  expect(message).toMatch(/^cannot listen on \/ip[46]\/.*: the address is in use$/)
  expect(message).not.toContain(free.split(':')[1])
  expect(listenersAt(Number(free.split(':')[1]))).toBe(0)
})

test('every address that cannot be bound is named', async () => {
  const { message } = await failure([`127.0.0.1:${busy4}`, `[::1]:${busy6}`])
  expect(message).toContain(`/ip4/127.0.0.1/tcp/${busy4}`)
  expect(message).toContain(`/ip6/::1/tcp/${busy6}`)
})

test('a node with several addresses is reached at each, on a port that it chose', async () => {
  const p2p = await startAsync(['127.0.0.1:0', '/ip4/127.0.0.1/tcp/0', '[::1]:0'])
  onTestFinished(async () => {
    p2p.stop()
    await p2p.runtime.closed
  })
  p2p.allowList.allowAll(true)
  const { addresses, peerId } = p2p
  expect(addresses.map(address => address.replace(/\d+\/p2p/, 'N/p2p'))).toEqual([
    `/ip4/127.0.0.1/tcp/N/p2p/${peerId}`,
    `/ip4/127.0.0.1/tcp/N/p2p/${peerId}`,
    `/ip6/::1/tcp/N/p2p/${peerId}`
  ])
  const ports = addresses.map(address => portOf({ peerId, addresses: [address] }))
  expect(new Set(ports).size).toBe(3)
  for (const port of ports) expect(listenersAt(port)).toBe(1)

  const node = observe(p2p)
  const dialler = await startLocal()
  for (const address of addresses) {
    await connectLocal(dialler, { ...node, addresses: [address] })
    dialler.p2p.sender.disconnectFrom(peerId)
    await Promise.all([dialler.event({ type: 'Disconnected' }), node.event({ type: 'Disconnected' })])
  }
})

/** Whatever goes wrong, no process is left behind. */
const BOUNDED = { timeout: 60_000, killSignal: 'SIGKILL' } as const

test.each(['start', 'startAsync'])(
  'when the runtime thread hangs, %s says so and leaves no thread behind',
  async way => {
    const program = fileURLToPath(new URL('../support/programs/hanging-start.mjs', import.meta.url))
    const { stdout } = await promisify(execFile)(process.execPath, [program, way], BOUNDED)
    expect(JSON.parse(stdout)).toEqual({
      code: 'ERR_RUNTIME_FAILED',
      message: 'the runtime thread failed: it has not answered for 30000 ms',
      thread: 'gone'
    })
  }
)

test('an application that is busy while its node starts finds it running', async () => {
  const program = fileURLToPath(new URL('../support/programs/busy-start.mjs', import.meta.url))
  const { stdout } = await promisify(execFile)(process.execPath, [program], BOUNDED)
  expect(stdout.trim()).toBe('running')
})

test('a process that may start no threads is told which flag is missing', async () => {
  const flag = process.allowedNodeEnvironmentFlags.has('--permission')
    ? '--permission'
    : '--experimental-permission'
  const program = fileURLToPath(new URL('../support/programs/start-failure.mjs', import.meta.url))
  const args = ['--no-warnings', flag, '--allow-fs-read=*', program, '127.0.0.1:0']
  const { stdout } = await promisify(execFile)(process.execPath, args, BOUNDED)
  expect(JSON.parse(stdout)).toEqual({
    code: 'ERR_RUNTIME_FAILED',
    message: "the runtime thread cannot start: Node's permission model is on, and wants --allow-worker"
  })
})

const unshare = (script: string): string[] => ['-n', 'sh', '-c', `ip link set lo up && ${script}`]
const ipv6Off = 'sysctl -q -w net.ipv6.conf.all.disable_ipv6=1'
/** A network of its own takes rights, and two tools. */
const hasOwnNetwork = spawnSync('unshare', unshare(ipv6Off)).status === 0

test.skipIf(!hasOwnNetwork).each(['start', 'startAsync'])(
  'with IPv6 switched off, %s says that nobody could reach a wildcard of it',
  async way => {
    const program = fileURLToPath(new URL('../support/programs/start-failure.mjs', import.meta.url))
    const script = unshare(`${ipv6Off} && exec "${process.execPath}" "${program}" "[::]:0" ${way}`)
    const { stdout } = await promisify(execFile)('unshare', script, BOUNDED)
    expect(JSON.parse(stdout)).toEqual({
      code: 'ERR_LISTEN_FAILED',
      message:
        'cannot listen on /ip6/::/tcp/0: no network interface of this machine has such an address, so nobody could reach it'
    })
  }
)

const lowestFreePort = Number(readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8'))

const nobody = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {}
/** One that was installed into the home of root is for root alone. */
const isForNobody = spawnSync(process.execPath, ['--version'], nobody).error === undefined

test.skipIf(lowestFreePort <= 1 || !isForNobody)(
  'a user without the right to is told that it may not bind the port',
  async () => {
    const program = fileURLToPath(new URL('../support/programs/start-failure.mjs', import.meta.url))
    const { stdout } = await promisify(execFile)(process.execPath, [program, '127.0.0.1:1'], nobody)
    expect(JSON.parse(stdout)).toEqual({
      code: 'ERR_LISTEN_FAILED',
      message: 'cannot listen on /ip4/127.0.0.1/tcp/1: this user may not bind the port'
    })
  }
)
