import type { EventLoop } from './event-loop.ts'
import { open, sealAck, sealPayload } from './envelope.ts'
import type { Envelope } from './envelope.ts'
import { PHASES } from './phases.ts'
import type { Tally } from './tally.ts'

/** A verifier's part in the setup: in each phase its own payload goes up, and what the operator makes of all comes down. */
export function follow(loop: EventLoop, operator: string): { tally: Tally } {
  for (const [phase, { up }] of PHASES.entries()) {
    const payload = sealPayload(phase, up)
    loop.send(operator, payload)
    const ack = expectKind(open(loop.message(operator)), 'ack', phase)
    if (!ack.digest.equals(open(payload).digest)) throw new Error('the operator acknowledged another payload')
    loop.send(operator, sealAck(expectKind(open(loop.message(operator)), 'payload', phase)))
  }
  loop.settle()
  return { tally: loop.tally }
}

function expectKind(message: Envelope, kind: Envelope['kind'], phase: number): Envelope {
  if (message.kind === kind && message.phase === phase) return message
  const came = PHASES[message.phase]!.name
  throw new Error(`wanted the ${kind} of '${PHASES[phase]!.name}', received the ${message.kind} of '${came}'`)
}
