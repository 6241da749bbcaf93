/**
 * The other end of the three channels, on a thread of its own, without any network: settles every message as accepted
 * and gives it back as if the peer had sent it; what the receiver channel has no room for is counted as dropped. A Dial
 * names a job to do meanwhile, and ends as one to a connected peer.
 */
import { workerData } from 'node:worker_threads'
import { DOORBELL, QueueReader, QueueWriter, RuntimeState, Word } from '../../../dist/bridge/index.js'
import { CommandReader } from '../../../dist/runtime/command-reader.js'
import { DroppedWriter } from '../../../dist/runtime/dropped-writer.js'
import { EventWriter } from '../../../dist/runtime/event-writer.js'

const { port, control, droppedMemory, limits } = workerData

const announceTo = queue => notice => port.postMessage({ queue, ...notice })
const signalFor = (signal, armed) => () => {
  Atomics.add(control, signal, 1)
  Atomics.notify(control, signal)
  if (Atomics.exchange(control, armed, 0) === 1) port.postMessage(DOORBELL)
}
const wakeReceiver = signalFor(Word.receiverSignal, Word.receiverArmed)
const wakePriority = signalFor(Word.prioritySignal, Word.priorityArmed)

const commandQueue = new QueueReader(() => {})
const reader = new CommandReader(control, commandQueue)
const events = new EventWriter(control, new QueueWriter(announceTo('events')), limits, wakeReceiver)
const dropped = new DroppedWriter(
  control,
  droppedMemory,
  new QueueWriter(announceTo('priority')),
  wakePriority
)

const peers = []
const handles = []

const jobs = {
  /** Counts drops of a few peers as fast as possible, in words that the test can add up. */
  drop: ({ times, peers: count }) => {
    for (let i = 0; i < times; i++)
      dropped.add(`peer-${i % count}`, { messages: 1 + (i % 3), bytes: i % 1000 })
    end()
  },
  end
}

function end() {
  Atomics.store(control, Word.state, RuntimeState.stopped)
  wakeReceiver()
  wakePriority()
  port.postMessage(DOORBELL)
  port.close()
}

const handler = {
  peer: (handle, peerId) => {
    peers[handle] = peerId
    handles[handle] = events.introduce(peerId)
  },
  send: (handle, frames, count) => {
    const payloadBytes = payloadBytesOf(frames)
    if (events.hasRoom(count, payloadBytes)) {
      events.data(handles[handle], { parts: [frames], wireBytes: frames.length, payloadBytes, count })
    } else dropped.add(peers[handle], { messages: count, bytes: payloadBytes })
    events.status(handle, undefined, count)
  },
  command: command => {
    if (command.type === 'Dial') {
      events.control({
        type: 'AlreadyConnected',
        peerId: command.peerId,
        keyHash: '',
        address: '',
        id: command.id
      })
      const { job, ...parameters } = JSON.parse(command.addresses[0])
      jobs[job](parameters)
    }
  }
}

function payloadBytesOf(frames) {
  let bytes = 0
  for (let at = 0; at < frames.length;) {
    let length = 0
    for (let shift = 0; ; shift += 7) {
      const byte = frames[at++]
      length |= (byte & 0x7f) << shift
      if (byte < 0x80) break
    }
    bytes += length
    at += length
  }
  return bytes
}

function drain() {
  if (reader.drain(handler)) setImmediate(drain)
}

port.on('message', message => {
  if (message !== DOORBELL) commandQueue.announce(message)
  drain()
})
