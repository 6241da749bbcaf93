/** Servers that a node can dial and that are no node of ours. Each is closed when its test is over. */
import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { onTestFinished } from 'vitest'

/** A TCP server that treats every connection so; its 'ip:port'. */
export async function startTcpServer(accept: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    sockets.add(socket)
    socket.on('error', () => {})
    accept(socket)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** A TCP connection's way to somebody else. */
export interface Passage {
  /** 'ip:port' to dial instead. */
  address: string
  /** Settles when somebody has connected, at both ends. */
  entered: Promise<void>
  /** Lets everything through that has been held back until now. */
  open: () => void
  /** Settles when a connection through it has ended. */
  left: Promise<void>
}

/** A way to a port of this machine on which nothing moves, towards it, until it is opened. */
export async function startPassage(port: number): Promise<Passage> {
  let entered = (): void => {}
  let left = (): void => {}
  const held: Array<() => void> = []
  const passage = {
    entered: new Promise<void>(resolve => (entered = resolve)),
    left: new Promise<void>(resolve => (left = resolve)),
    open: (): void => {
      for (const letThrough of held.splice(0)) letThrough()
    }
  }
  const address = await startTcpServer(socket => {
    const onward = connect(port, '127.0.0.1')
    onward.on('error', () => {})
    onward.once('connect', entered)
    onward.pipe(socket)
    // Reads on when there is nobody left to write to, so that the end is noticed.
    onward.once('close', () => socket.resume())
    held.push(() => socket.pipe(onward))
    socket.once('close', () => {
      onward.destroy()
      left()
    })
  })
  return { ...passage, address }
}

/** A way to a port of this machine on which, once it is frozen, nothing moves any more, ends included. */
export async function startFreezer(port: number): Promise<{ address: string; freeze: () => void }> {
  const sockets: Socket[] = []
  const address = await startTcpServer(socket => {
    const onward = connect(port, '127.0.0.1')
    onward.on('error', () => {})
    sockets.push(socket, onward)
    socket.pipe(onward).pipe(socket)
    onTestFinished(() => void onward.destroy())
  })
  const freeze = (): void => {
    for (const socket of sockets) socket.unpipe().pause()
  }
  return { address, freeze }
}

/** An 'ip:port' where nothing listens, and did a moment ago. */
export async function closedAddress(): Promise<string> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise(resolve => server.close(resolve))
  return `127.0.0.1:${port}`
}
