import type { Stream } from '@libp2p/interface'
import type { Cancel, Clock } from '../clock.ts'
import type { Link } from '../libp2p/index.ts'

export interface OpenStreamInit {
  clock: Clock
  /** A peer that is there agrees to the protocol in so many milliseconds. */
  timeoutMs: number
  /** Gives the attempt up. */
  signal: AbortSignal
}

/**
 * Opens a stream for messages. A peer that is not heard may be stopped, or cut off: the attempt lasts until it is
 * heard, or its connection ends. One that is heard in both halves of the time, and has not agreed, does not take messages.
 *
 * @throws Error when it does not, when the connection ends, or for the reason of the signal
 */
export async function openMessageStream(link: Link, init: OpenStreamInit): Promise<Stream> {
  const { clock, timeoutMs, signal } = init
  const refused = new AbortController()
  let cancel: Cancel | undefined
  const waitHalf = (wasHeard: boolean): void => {
    const since = clock.now()
    link.ask()
    cancel = clock.after(timeoutMs / 2, () => {
      const isHeard = link.lastReceivedAt > since
      if (wasHeard && isHeard) refused.abort(new Error(`no answer to a message stream in ${timeoutMs} ms`))
      else waitHalf(isHeard)
    })
  }
  waitHalf(false)
  try {
    const stream = await link.openStream(AbortSignal.any([signal, refused.signal]))
    if (stream.status === 'open' && !stream.readableEnded) return stream
    throw new Error('a message stream was ended at once')
  } finally {
    cancel?.()
  }
}
