import type { EventLoop } from './event-loop.ts'
import { unexpected } from './event-loop.ts'
import { open, sealAck, sealPayload } from './envelope.ts'
import { MESSAGES_PER_VERIFIER, PHASES } from './phases.ts'
import type { Tally } from './tally.ts'

/** How far a phase of the setup is: messages delivered, and whose contents were found in order. */
export interface PhaseProgress {
  messages: number
  bytes: number
  ms: number
}

/** Why a peer was not let in. */
export interface Refusal {
  peerId: string
  code: string
  message: string
}

/**
 * The operator leads: what the verifiers send is acknowledged, and when the last of them has sent its part of a phase,
 * all get the operator's. Every message of the setup is the operator's or comes to it, so it counts them for all: one
 * that it receives when its contents are in order, one that it sends when its Status says so.
 */
export function lead(
  loop: EventLoop,
  verifiers: string[],
  progress: (phases: PhaseProgress[]) => void
): { phases: PhaseProgress[]; tally: Tally } {
  const plan = PHASES.map(({ down }, phase) => {
    const payload = sealPayload(phase, down)
    return { payload, digest: open(payload).digest, arrived: new Set<string>() }
  })
  const phases = PHASES.map((): PhaseProgress => ({ messages: 0, bytes: 0, ms: 0 }))
  const expected = MESSAGES_PER_VERIFIER * verifiers.length
  const inFlight = new Map<number, { phase: number; bytes: number }>()
  let begin = performance.now()

  const count = (phase: number, bytes: number): void => {
    const counted = phases[phase]!
    counted.messages++
    counted.bytes += bytes
    counted.ms = performance.now() - begin
    if (counted.messages === expected) begin = performance.now()
    progress(phases)
  }
  const send = (peerId: string, phase: number, data: Uint8Array): void => {
    inFlight.set(loop.send(peerId, data), { phase, bytes: data.length })
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
    if (arrived.has(peerId)) throw new Error(`${peerId} sent its part of a phase twice`)
    arrived.add(peerId)
    send(peerId, phase, sealAck(message))
    if (arrived.size === verifiers.length) for (const verifier of verifiers) send(verifier, phase, payload)
  }

  while (phases.some(({ messages }) => messages < expected)) {
    const event = loop.next()
    if (event === undefined || event.type === 'Connected') continue
    if (event.type === 'Data') {
      take(event.peerId, event.data)
    } else if (event.type === 'Status') {
      const { phase, bytes } = inFlight.get(event.id)!
      inFlight.delete(event.id)
      count(phase, bytes)
    } else {
      throw unexpected(event)
    }
  }
  return { phases, tally: loop.tally }
}

/** What the operator saw of a stranger, and of the verifiers afterwards. */
export interface StrangerSeen {
  refusal: Refusal
  /** Verifiers connected, and those that acknowledged one more message. */
  connected: number
  answered: number
}

/** Waits for a stranger to be turned away, then sends each verifier one more message, to see that it is still there. */
export function awaitStranger(loop: EventLoop, verifiers: string[]): StrangerSeen {
  let event
  do event = loop.next()
  while (event === undefined)
  if (event.type !== 'Error' || event.code !== 'ERR_NOT_ALLOWED') throw unexpected(event)
  const { code, message, peerId = '' } = event
  const { peers } = loop.p2p.runtime.inspect()
  const connected = peers.filter(peer => verifiers.includes(peer.peerId)).length
  const before = loop.tally.acks
  for (const verifier of verifiers) loop.send(verifier, Buffer.from('Still there?'))
  loop.settle()
  return { refusal: { code, message, peerId }, connected, answered: loop.tally.acks - before }
}
