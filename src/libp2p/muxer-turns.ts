import type { MessageStream, StreamMuxer } from '@libp2p/interface'
import { Uint8ArrayList } from 'uint8arraylist'
import type { FairShare } from './fair-share.ts'
import { HeaderScanner } from './muxer-header.ts'

/** The parts of libp2p's AbstractMessageStream that are used here. */
export type PausableConnection = MessageStream & { readStatus: string }

/** The part of libp2p's AbstractStreamMuxer that is stood in front of. */
interface ReadMuxer extends StreamMuxer {
  onData: (data: Uint8Array | Uint8ArrayList) => void
}

export interface MuxerTurnsInit {
  /** Largest Data frame, in bytes: no honest peer can send more than the window it was given. */
  maxDataBytes: number
  /** Divides the thread between connections. */
  fairShare: FairShare
  /** What carries an encrypted connection, whose reading can be paused. */
  below: (connection: MessageStream) => PausableConnection
}

/** What a stream that is opened costs, in milliseconds: its protocol is negotiated. */
const OPENING_MS = 0.5

/** Follows the bytes that come, and has the muxer take as many of them in a turn of the event loop as is fair. */
export function readInTurns(muxer: ReadMuxer, connection: MessageStream, init: MuxerTurnsInit): void {
  const onData = muxer.onData.bind(muxer)
  const headers = new HeaderScanner(init.maxDataBytes)
  const share = init.fairShare.join()
  const below = init.below(connection)
  /** What is left for another turn. Nothing more is read until then, so it is less than what one read brought. */
  let held: Uint8ArrayList | undefined
  let isWaiting = false
  const isOver = (): boolean => muxer.status === 'closed'

  const work = (data: Uint8Array | Uint8ArrayList): void => {
    for (;;) {
      const bytes = headers.scan(data)
      if (headers.opened) share.foresee(OPENING_MS)
      if (bytes === data.byteLength) {
        onData(data)
        return
      }
      // Cut off first: whoever reads the batch may free its memory, which then has no length to cut by.
      const rest = cut(data, bytes, data.byteLength)
      onData(cut(data, 0, bytes))
      // What follows a fault in the same piece is for nobody.
      if (isOver()) return
      data = rest
      if (share.spent) {
        held = new Uint8ArrayList(data)
        return
      }
    }
  }
  const wait = (): void => {
    if (isWaiting || isOver() || (held === undefined && !share.spent)) return
    isWaiting = true
    if (below.readStatus === 'readable') below.pause()
    share.wait(goOn)
  }
  const goOn = (): void => {
    isWaiting = false
    const data = held
    held = undefined
    if (isOver()) return
    if (data !== undefined) {
      share.enter()
      try {
        work(data)
      } catch (err) {
        // As upstream does where it calls the muxer.
        muxer.abort(err as Error)
        connection.abort(err as Error)
        return
      }
      wait()
    }
    if (!isWaiting && below.readStatus === 'paused') below.resume()
  }

  muxer.onData = data => {
    share.enter()
    if (!isWaiting) work(data)
    else if (held === undefined) held = new Uint8ArrayList(data)
    else held.append(data)
    wait()
  }
  connection.addEventListener('close', () => share.leave())
}

function cut(data: Uint8Array | Uint8ArrayList, from: number, to: number): Uint8Array | Uint8ArrayList {
  return data instanceof Uint8Array ? data.subarray(from, to) : data.sublist(from, to)
}
