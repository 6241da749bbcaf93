// A node that does what its parent asks over IPC: see test/support/node-process.ts.
import { createHash } from 'node:crypto'
import { runtimeThread } from './catch-thread.mjs'
import { generatePrivateKey, P2p } from 'bitvmx-p2p'

const log = []

const scope = {
  p2p: undefined,
  runtimeThread: undefined,
  log,
  state: {},
  createHash,
  sha256: data => createHash('sha256').update(data).digest('hex'),
  payload(size, seed) {
    const data = new Uint8Array(size)
    let x = (seed + 1) | 0
    for (let i = 0; i < size; i++) {
      // xorshift32
      x ^= x << 13
      x ^= x >>> 17
      x ^= x << 5
      data[i] = x
    }
    return data
  },
  event(match, deadlineMs = 30_000) {
    const index = log.findIndex(event => matches(event, match))
    if (index >= 0) return log.splice(index, 1)[0]
    const end = performance.now() + deadlineMs
    for (;;) {
      const event = scope.p2p.receiver.recv(Math.max(0, end - performance.now()))
      if (event === undefined) {
        throw new Error(`no event ${show(match)} in ${deadlineMs} ms; others: ${show(log)}`)
      }
      if (matches(event, match)) return event
      log.push(event)
    }
  }
}

function matches(event, match) {
  return Object.keys(match).every(key => event[key] === match[key])
}

function show(value) {
  return JSON.stringify(value, (key, part) => (key === 'data' ? `${part.length} bytes` : part)).slice(
    0,
    2_000
  )
}

const methods = {
  async start({ listen, key, options }) {
    scope.p2p = P2p.start(listen, key ?? (await generatePrivateKey()), options)
    scope.runtimeThread = runtimeThread
    return { peerId: scope.p2p.peerId, addresses: scope.p2p.addresses }
  },
  // oxlint-disable-next-line no-eval -- the tests' own functions
  run: ({ source, argument }) => (0, eval)(`(${source})`)(scope, argument)
}

// One call after the other, even when one of them awaits.
let before = Promise.resolve()
process.on('message', ({ call, method, body }) => {
  before = before.then(async () => {
    try {
      process.send({ reply: call, value: await methods[method](body) })
    } catch (err) {
      process.send({ reply: call, error: { message: String(err?.message ?? err), code: err?.code } })
    }
  })
})
process.on('disconnect', () => process.exit())
