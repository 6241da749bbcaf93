// A TCP proxy that passes on so many bytes per second, in each direction, and can go silent.
import { connect, createServer } from 'node:net'
import { serve } from './serve.mjs'

const TICK_MS = 20

/** Reads and writes nothing more, and ends nothing. */
let silent = false

function pass(from, to, bytesPerSecond) {
  const held = []
  let size = 0
  let passedAt = performance.now()
  from.on('data', chunk => {
    held.push(chunk)
    size += chunk.length
    if (size > 64 * 1024) from.pause()
  })
  const timer = setInterval(() => {
    if (silent) {
      from.pause()
      return
    }
    // By the time that has passed: a machine that is busy is late, and must not make the line slower.
    const now = performance.now()
    let allowance = Math.ceil((bytesPerSecond * Math.min(now - passedAt, 10 * TICK_MS)) / 1_000)
    passedAt = now
    while (allowance > 0 && held.length > 0) {
      const chunk = held[0]
      const part = chunk.subarray(0, allowance)
      if (part.length === chunk.length) held.shift()
      else held[0] = chunk.subarray(part.length)
      allowance -= part.length
      size -= part.length
      to.write(part)
    }
    if (size <= 64 * 1024) from.resume()
  }, TICK_MS)
  from.on('close', () => {
    clearInterval(timer)
    if (!silent) to.destroy()
  })
  from.on('error', () => {})
}

const methods = {
  start: ({ port, bytesPerSecond }) =>
    new Promise(resolve => {
      const server = createServer(near => {
        const far = connect({ port, host: '127.0.0.1' })
        pass(near, far, bytesPerSecond)
        pass(far, near, bytesPerSecond)
      })
      server.listen(0, '127.0.0.1', () => resolve(server.address().port))
    }),
  silence: () => {
    silent = true
  }
}

serve(methods)
