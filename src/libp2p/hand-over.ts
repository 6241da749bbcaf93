import type { MessageStream } from '@libp2p/interface'
import type { Uint8ArrayList } from 'uint8arraylist'

type Bytes = Uint8Array | Uint8ArrayList
type Listener = (event: { data: Bytes }) => void

/** The parts of libp2p's AbstractMessageStream that are used here. */
interface ReadStream {
  readBuffer: Uint8ArrayList
  readStatus: string
  remoteWriteStatus: string
  addEventListener: (...args: unknown[]) => void
  removeEventListener: (...args: unknown[]) => void
  onData: (data: Bytes) => void
  maybeDispatchEnd: () => void
}

/**
 * Hands what arrives on a stream to its listener by a plain call (docs/decisions/0010). Upstream puts it into a buffer,
 * takes it out again and dispatches an event, on each of three layers. It still does whenever that makes a difference:
 * while the reading is paused, or something waits to be read, or there is not exactly one listener. What a listener throws
 * ends the thread, as it does when events are dispatched: it is a defect, and not the fault of whoever sent the data. To be
 * called before anybody listens.
 */
export function handOver(stream: MessageStream): void {
  const read = stream as unknown as ReadStream
  const addEventListener = read.addEventListener.bind(read)
  const removeEventListener = read.removeEventListener.bind(read)
  const onData = read.onData.bind(read)
  const listeners = new Set<unknown>()
  let only: Listener | undefined
  /** Listeners are functions without options; once there was another one, all is left to upstream. */
  let isPlain = true
  const find = (): void => {
    only = isPlain && listeners.size === 1 ? (listeners.values().next().value as Listener) : undefined
  }

  read.addEventListener = (...args) => {
    const [type, listener, options] = args
    if (type === 'message') {
      isPlain &&= typeof listener === 'function' && options === undefined
      listeners.add(listener)
      find()
    }
    addEventListener(...args)
  }
  read.removeEventListener = (...args) => {
    if (args[0] === 'message' && listeners.delete(args[1])) find()
    removeEventListener(...args)
  }
  read.onData = data => {
    if (only === undefined || read.readStatus !== 'readable' || read.readBuffer.byteLength > 0) {
      onData(data)
      return
    }
    if (data.byteLength === 0) return
    try {
      only({ data })
    } catch (err) {
      process.nextTick(() => {
        throw err
      })
    }
    // As upstream ends a dispatch.
    if (read.readBuffer.byteLength > 0 || read.remoteWriteStatus !== 'closed') return
    read.readStatus = 'closed'
    read.maybeDispatchEnd()
  }
}
