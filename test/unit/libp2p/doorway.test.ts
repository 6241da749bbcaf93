import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { guardServer } from '../../../src/libp2p/doorway.ts'

/** Counts the sockets that Node makes, welcome or not, and those that are handed on. */
async function listen(unwelcome: string, damage: (server: Server) => void = () => {}) {
  const handedOn: string[] = []
  const server = createServer(socket => {
    handedOn.push(socket.remoteAddress!)
    socket.end('welcome')
  })
  guardServer(server, ip => ip === unwelcome)
  let made = 0
  server.prependListener('connection', () => made++)
  server.prependOnceListener('listening', () => damage(server))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  const { port } = server.address() as AddressInfo
  return { handedOn, port, made: () => made }
}

/** What a server says to somebody who connects from here, or the code of the error. */
async function knock(port: number, localAddress: string): Promise<string> {
  const socket: Socket = connect({ port, host: '127.0.0.1', localAddress })
  let said = ''
  socket.on('data', data => (said += data.toString()))
  socket.on('error', err => (said ||= (err as NodeJS.ErrnoException).code ?? ''))
  await once(socket, 'close').catch(() => {})
  return said
}

test('an unwelcome address is reset before Node makes a socket of its connection; others are handed on', async () => {
  const { handedOn, port, made } = await listen('127.5.0.2')
  for (let i = 0; i < 20; i++) {
    expect(await knock(port, '127.5.0.2')).toBe('ECONNRESET')
    expect(await knock(port, '127.5.0.3')).toBe('welcome')
  }
  expect(handedOn).toEqual(Array.from({ length: 20 }, () => '127.5.0.3'))
  // Should a version of Node be built differently, this tells: the door still shuts, only later.
  expect(made()).toBe(20)
})

test('a Node that is built differently resets it right after', async () => {
  const { handedOn, port, made } = await listen('127.5.0.2', server => {
    const hidden = { value: undefined, configurable: true }
    const handle = Object.getOwnPropertyDescriptor(server, '_handle')!
    Object.defineProperty(server, '_handle', hidden)
    queueMicrotask(() => Object.defineProperty(server, '_handle', handle))
  })
  expect(await knock(port, '127.5.0.2')).toBe('ECONNRESET')
  expect(await knock(port, '127.5.0.3')).toBe('welcome')
  expect(handedOn).toEqual(['127.5.0.3'])
  expect(made()).toBe(2)
})

test('who has gone before the server looks costs no socket', async () => {
  const { handedOn, port, made } = await listen('127.5.0.2')
  // This thread stands still meanwhile: the kernel accepts, nobody else.
  execFileSync(process.execPath, [
    '-e',
    `const socket = require('node:net').connect(${port}, '127.0.0.1', () => socket.resetAndDestroy())`
  ])
  expect(await knock(port, '127.5.0.3')).toBe('welcome')
  expect({ handedOn, made: made() }).toEqual({ handedOn: ['127.5.0.3'], made: 1 })
})
