import type { Desk } from './desk.ts'
import { unexpected } from './desk.ts'
import type { Duties, PhaseProgress, Progress } from './duties.ts'
import { open, sealAck, sealPayload } from './envelope.ts'
import { MESSAGES_PER_VERIFIER, PHASES } from './phases.ts'
import { Pace } from './pace.ts'

/**
 * The operator leads: what the verifiers send is acknowledged, and when the last of them has sent his part of a phase,
 * all get the operator's. Every message of the setup is his or comes to him, so he counts them for all: one that he
 * receives when its contents are in order, one that he sends when its Status says so.
 */
export function lead(
  desk: Desk,
  { verifiers }: Duties['lead']['takes'],
  progress: (progress: Progress) => void
): Duties['lead']['gives'] {
  const plan = PHASES.map(({ down }, phase) => {
    const payload = sealPayload(phase, down)
    return { payload, digest: open(payload).digest, arrived: new Set<string>() }
  })
  const phases = PHASES.map((): PhaseProgress => ({ messages: 0, bytes: 0, ms: 0 }))
  const expected = MESSAGES_PER_VERIFIER * verifiers.length
  const underWay = new Map<number, { phase: number; bytes: number }>()
  const pace = new Pace()
  let begin = performance.now()

  const count = (phase: number, bytes: number): void => {
    const counted = phases[phase]!
    counted.messages++
    counted.bytes += bytes
    counted.ms = performance.now() - begin
    if (counted.messages === expected) begin = performance.now()
    if (counted.messages === expected || pace.due()) progress({ phases })
  }
  const send = (peerId: string, phase: number, data: Uint8Array): void => {
    underWay.set(desk.send(peerId, data), { phase, bytes: data.length })
  }
  const take = (peerId: string, data: Uint8Array): void => {
    const message = open(data)
    const { phase } = message
    const { payload, digest, arrived } = plan[phase]!
    count(phase, data.length)
    if (message.kind === 'ack') {
      if (!digest.equals(message.digest)) throw new Error(`${peerId} acknowledged another payload`)
      return
    }
    if (arrived.has(peerId)) throw new Error(`${peerId} sent his part of a phase twice`)
    arrived.add(peerId)
    send(peerId, phase, sealAck(message))
    if (arrived.size === verifiers.length) for (const verifier of verifiers) send(verifier, phase, payload)
  }

  while (phases.some(phase => phase.messages < expected)) {
    const event = desk.next()
    if (event === undefined || event.type === 'Connected') continue
    if (event.type === 'Data') {
      take(event.peerId, event.data)
    } else if (event.type === 'Status' && event.ok) {
      const { phase, bytes } = underWay.get(event.id)!
      underWay.delete(event.id)
      count(phase, bytes)
    } else {
      throw unexpected(event)
    }
  }
  return { phases, tally: desk.tally }
}

/** Waits for somebody to be turned away, then sends each verifier one more message, to see that he is still there. */
export function guard(desk: Desk, { verifiers }: Duties['guard']['takes']): Duties['guard']['gives'] {
  for (;;) {
    const event = desk.next()
    if (event === undefined) continue
    if (event.type !== 'Error' || event.code !== 'ERR_NOT_ALLOWED') throw unexpected(event)
    const { code, message, peerId = '' } = event
    const connected = desk.p2p.runtime.inspect().peers.filter(peer => verifiers.includes(peer.peerId)).length
    const before = desk.tally.acks
    for (const verifier of verifiers) desk.send(verifier, Buffer.from('Still there?'))
    while (desk.unsettled > 0) desk.next()
    return { code, message, peerId, connected, answered: desk.tally.acks - before }
  }
}
