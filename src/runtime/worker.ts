/**
 * The runtime thread's file: connects the runtime to the message port and the shared memory, and reports its end. That it
 * cannot be loaded is told by whoever loads it (src/application/crossing.ts).
 */
import { workerData } from 'node:worker_threads'
import type { MessagePort } from 'node:worker_threads'
import { CommandReader } from './command-reader.ts'
import { DOORBELL, hasEnded, QueueReader, QueueWriter, RuntimeState, Word } from '../bridge/index.ts'
import { DroppedWriter } from './dropped-writer.ts'
import { EventWriter } from './event-writer.ts'
import type { QueueNotice, RuntimeData, SegmentNotice, ToApplication, ToRuntime } from '../bridge/index.ts'
import { systemClock } from '../clock.ts'
import { messageOf, P2pError, toPlain } from '../errors.ts'
import { createNode } from '../libp2p/index.ts'
import { Allowance } from '../rate-limiter/index.ts'
import { VERSION } from '../version.ts'
import { boundedLog, logControl } from './event-log.ts'
import { MAX_UNREAD_CONTROL, STRANGER_RECORDS } from './limits.ts'
import { LogWriter } from './log-writer.ts'
import { Runtime } from './runtime.ts'
import { PRIORITY, RECEIVER, signalTo } from './signal.ts'

// libp2p makes errors for what is no fault (aborted waits, ended streams); nobody reads where they were made.
Error.stackTraceLimit = 0

const { port, data } = workerData as { port: MessagePort; data: RuntimeData }
const { control } = data

const post = (message: ToApplication): void => port.postMessage(message)
const announceTo =
  (queue: QueueNotice['queue']) =>
  (notice: SegmentNotice): void =>
    post({ queue, ...notice })

const ring = (): void => post(DOORBELL)
const wakeReceiver = (): void => signalTo(control, RECEIVER, ring)
const wakePriority = (): void => signalTo(control, PRIORITY, ring)

const logs = new LogWriter({
  control,
  level: data.options.logLevel,
  post: records => post({ log: records }),
  soon: action => process.nextTick(action),
  time: Date.now
})
const { log } = logs
/** What strangers do must not fill the log. */
const strangers = boundedLog(log, new Allowance({ ...STRANGER_RECORDS, clock: systemClock.now }))

const { limits } = data.options
const commandQueue = new QueueReader(() => {})
const events = new EventWriter(
  control,
  new QueueWriter(announceTo('events')),
  { messages: limits.receiverMessages, bytes: limits.receiverBytes },
  wakeReceiver,
  event => logControl(log, strangers, event)
)
const dropped = new DroppedWriter(
  control,
  data.dropped,
  new QueueWriter(announceTo('priority')),
  wakePriority
)

function signalReply(): void {
  Atomics.add(control, Word.replySignal, 1)
  Atomics.notify(control, Word.replySignal)
}

/** Publishes the end: after this store the application believes that nothing more comes. */
function end(state: typeof RuntimeState.stopped | typeof RuntimeState.failed): void {
  if (hasEnded(control)) return
  log.info?.('stopped', { failed: state === RuntimeState.failed })
  logs.flush()
  Atomics.store(control, Word.state, state)
  wakeReceiver()
  wakePriority()
  signalReply()
  // Rings even if nobody has asked: the application's event loop should learn of the end without looking.
  post(DOORBELL)
  process.exit(state === RuntimeState.stopped ? 0 : 1)
}

function fail(err: unknown): void {
  events.control({
    type: 'Error',
    code: 'ERR_RUNTIME_FAILED',
    message: `the runtime failed: ${messageOf(err)}`
  })
  end(RuntimeState.failed)
}

process.on('uncaughtException', fail)
// A rejection that nobody awaits harms nobody but its own task, and remote parties can bring some about in libp2p:
// it must not end the runtime. It is told, because it is a defect, as long as somebody reads what is told.
process.on('unhandledRejection', reason => {
  if (events.unreadControl >= MAX_UNREAD_CONTROL) return
  events.control({
    type: 'Error',
    code: 'ERR_RUNTIME_FAILED',
    message: `a task of the runtime failed, and the runtime goes on: ${messageOf(reason)}`
  })
})

try {
  if (data.version !== VERSION) {
    const message = `the runtime thread's file is of version ${VERSION}, wanted ${data.version}: a copy of it is outdated`
    throw new P2pError('ERR_RUNTIME_FAILED', message)
  }
  const runtime = new Runtime({
    privateKey: data.privateKey,
    listen: data.listen,
    resultOrder: data.resultOrder,
    options: data.options,
    clock: systemClock,
    createNode,
    log,
    strangers,
    commands: new CommandReader(control, commandQueue),
    events,
    dropped,
    stopped: () => end(RuntimeState.stopped)
  })

  port.on('message', (message: ToRuntime) => {
    if (message === DOORBELL) runtime.drainCommands()
    else if ('segment' in message) {
      commandQueue.announce(message)
      // A doorbell that came before this notice could only be followed up to here.
      runtime.drainCommands()
    } else {
      const { request, body } = message
      try {
        post({ reply: request, value: runtime.request(body) })
      } catch (err) {
        post({ reply: request, error: toPlain(err, 'ERR_RUNTIME_FAILED') })
      }
      signalReply()
    }
  })

  const addresses = await runtime.start()
  // Before the word of it: whoever hears that it runs may use it at once.
  Atomics.compareExchange(control, Word.state, RuntimeState.starting, RuntimeState.running)
  log.info?.('started', { addresses: addresses.join(' '), version: VERSION, node: process.version })
  post({ started: { addresses } })
  signalReply()
} catch (err) {
  post({ started: { error: toPlain(err, 'ERR_RUNTIME_FAILED') } })
  end(RuntimeState.failed)
}
