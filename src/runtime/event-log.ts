import type { ControlEvent } from '../bridge/index.ts'
import type { Log } from '../log.ts'
import type { Allowance } from '../rate-limiter/index.ts'

/** Logs what the application is told. `strangers`: the log of what anybody can bring about. */
export function logControl(log: Log, strangers: Log, event: ControlEvent): void {
  switch (event.type) {
    case 'Connected':
      log.info?.('connected', { peerId: event.peerId, address: event.address, direction: event.direction })
      return
    case 'AlreadyConnected':
      log.debug?.('connected', { peerId: event.peerId, address: event.address })
      return
    case 'Disconnected':
      log.info?.('disconnected', { peerId: event.peerId, code: event.code, reason: event.reason })
      return
    case 'ConnectionLimit':
      log.warn?.('barred', { peerId: event.peerId, ip: event.ip, cause: event.cause })
      return
    case 'Error':
      logError(log, strangers, event)
  }
}

function logError(log: Log, strangers: Log, event: Extract<ControlEvent, { type: 'Error' }>): void {
  const { code, message, peerId, ip } = event
  if ('id' in event) log.warn?.('dial-failed', { peerId, ip, why: event.why, code, reason: message })
  else if (code === 'ERR_RUNTIME_FAILED') log.error?.('task-failed', { reason: message })
  else strangers.warn?.('connection-denied', { peerId, ip, reason: message })
}

/** A log that takes so much and no more. What it leaves out is counted, and told before the next that it takes. */
export function boundedLog(log: Log, allowance: Allowance): Log {
  let leftOut = 0
  const bounded = Object.entries(log).map(([level, write]): [string, typeof write] => [
    level,
    (event, fields) => {
      if (!allowance.take()) {
        leftOut++
        return
      }
      if (leftOut > 0) log.warn?.('records-left-out', { count: leftOut })
      leftOut = 0
      write(event, fields)
    }
  ])
  return Object.freeze(Object.fromEntries(bounded))
}
