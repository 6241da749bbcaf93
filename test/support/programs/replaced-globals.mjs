// Uses a node in every way that waits, in a process whose globals were replaced or frozen, as test runners and hardened
// realms do: replaced-globals.mjs <what> <before|after the package is imported>. Prints what came of it.
const [what, when] = process.argv.slice(2)

const never = () => {}
const replacements = {
  clocks: () => {
    const start = performance.now()
    performance.now = () => start
    globalThis.performance = { now: () => start }
    globalThis.Date = class extends Date {
      static now() {
        return 0
      }
    }
  },
  'clocks that run backwards': () => {
    let time = 1e9
    const now = () => --time
    performance.now = now
    globalThis.performance = { now }
  },
  turns: () => {
    for (const name of ['setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask'])
      globalThis[name] = never
    for (const name of ['clearTimeout', 'clearInterval', 'clearImmediate']) globalThis[name] = never
  },
  structuredClone: () => {
    globalThis.structuredClone = () => {
      throw new Error('a polyfill that knows no ports')
    }
  },
  'prototypes, frozen': () => {
    // Error.prototype and its kin, and what every object has, functions and promises included.
    for (const { value } of Object.values(Object.getOwnPropertyDescriptors(globalThis))) {
      if (typeof value === 'function' && value.prototype !== undefined) Object.freeze(value.prototype)
    }
    Object.freeze(Object.getPrototypeOf(async () => {}))
    Object.freeze(Object.getPrototypeOf(Object.getPrototypeOf([][Symbol.iterator]())))
  }
}

const { setTimeout } = globalThis
if (when === 'before') replacements[what]()
const { generatePrivateKey, P2p, P2pError } = await import('bitvmx-p2p')
if (when === 'after') replacements[what]()

const settings = async () => ['127.0.0.1:0', await generatePrivateKey(), { allowList: 'allow-all' }]
const alice = P2p.start(...(await settings()))
const bob = await P2p.startAsync(...(await settings()))
const report = {}

// Nothing comes: the time is over, and the call returns.
report.nothing = alice.receiver.recv(50) ?? 'nothing'
// For ever, unless the clock goes.
report.again = [alice.receiver.recv(0), bob.priority.recv(1)].length

alice.sender.dial(bob.peerId, bob.addresses[0])
report.connected = (await bob.receiver.recvAsync()).type
alice.sender.sendMsg(bob.peerId, Buffer.from('hello'))
for await (const event of bob.receiver) {
  report.data = Buffer.from(event.data).toString()
  break
}
report.inspected = (await alice.runtime.inspectAsync()).peers.length + alice.runtime.inspect().peers.length

// Long enough for a caller who looks again and again to make sure that the thread lives.
const busy = new Int32Array(new SharedArrayBuffer(4))
for (let i = 0; i < 12; i++) {
  Atomics.wait(busy, 0, 0, 100)
  bob.receiver.tryRecv()
}
report.alive = bob.runtime.state

try {
  alice.sender.dial('nobody', '127.0.0.1:1')
} catch (err) {
  report.error = [err instanceof P2pError, err.name, err.code, typeof err.message, String(err).split(':')[0]]
}
alice.stop()
bob.stop()
await Promise.all([alice.runtime.closed, bob.runtime.closed])
report.after = await bob.receiver.recvAsync().then(event => event?.type)
console.log(JSON.stringify(report))
setTimeout(() => process.exit(), 0)
