import { createHash } from 'node:crypto'
import { unexpected } from './desk.ts'
import type { Desk } from './desk.ts'
import type { Duties, Progress } from './duties.ts'
import { decode, encodeEnd } from './file-frames.ts'
import { Pace } from './pace.ts'

/** Takes in a file, of which nothing is kept but its size and SHA-256, and says so to the sender when both agree. */
export function receiveFile(
  desk: Desk,
  { from }: Duties['receiveFile']['takes'],
  progress: (progress: Progress) => void
): Duties['receiveFile']['gives'] {
  const hash = createHash('sha256')
  const pace = new Pace()
  let bytes = 0
  for (;;) {
    const event = desk.next()
    if (event === undefined || event.type === 'Connected') continue
    if (event.type !== 'Data') throw unexpected(event)
    const message = decode(event.data)
    if (message.kind === 'chunk') {
      // Anything else is there already, or comes after something that was refused and will come again.
      if (message.offset === bytes) {
        hash.update(message.data)
        bytes += message.data.length
        if (pace.due()) progress({ bytes })
      }
      continue
    }
    const sha256 = hash.digest('hex')
    if (message.bytes !== bytes) throw new Error(`${bytes} bytes arrived, ${message.bytes} were sent`)
    if (message.sha256 !== sha256) throw new Error(`SHA-256 ${sha256} arrived, ${message.sha256} was sent`)
    desk.send(from, encodeEnd({ kind: 'verified', bytes, sha256 }))
    while (desk.unsettled > 0) desk.next()
    return { tally: desk.tally, sha256, bytes }
  }
}
