import type { Desk } from './desk.ts'
import { unexpected } from './desk.ts'
import type { Duties } from './duties.ts'
import { open, sealAck, sealPayload } from './envelope.ts'
import type { Envelope } from './envelope.ts'
import { PHASES } from './phases.ts'

/** A verifier's part in the setup: in each phase his own payload goes up, and what the operator makes of all comes down. */
export function follow(desk: Desk, { operator }: Duties['follow']['takes']): Duties['follow']['gives'] {
  for (const [phase, { up }] of PHASES.entries()) {
    const payload = sealPayload(phase, up)
    desk.send(operator, payload)
    expectKind(nextMessage(desk), 'ack', phase, open(payload).digest)
    desk.send(operator, sealAck(expectKind(nextMessage(desk), 'payload', phase)))
  }
  while (desk.unsettled > 0) passed(desk.next())
  return { tally: desk.tally }
}

/** Blocks until a message is there. */
function nextMessage(desk: Desk): Envelope {
  for (;;) {
    const event = desk.next()
    if (event?.type === 'Data') return open(event.data)
    passed(event)
  }
}

/** Nothing but good news is expected between messages. */
function passed(event: ReturnType<Desk['next']>): void {
  if (event !== undefined && !(event.type === 'Status' && event.ok)) throw unexpected(event)
}

function expectKind(message: Envelope, kind: Envelope['kind'], phase: number, digest?: Buffer): Envelope {
  const { name } = PHASES[phase]!
  if (message.kind !== kind || message.phase !== phase) {
    throw new Error(`wanted the ${kind} of phase '${name}', received the ${message.kind} of another`)
  }
  if (digest?.equals(message.digest) === false)
    throw new Error(`phase '${name}': another payload was acknowledged`)
  return message
}
