import { basename } from 'node:path'
import { styleText } from 'node:util'
import { bytes, duration, plural, printable, rate } from './format.ts'
import { FILE_MESSAGE_BYTES } from './limits.ts'
import type { ProcessGroup } from './process-group.ts'
import { connect, createKey, listen, roster, spawn } from './roster.ts'
import type { Participant } from './roster.ts'
import type { Row, Screen } from './screen.ts'
import type { SourceFile } from './source-file.ts'
import { printTallies } from './tally.ts'

const BAR_CELLS = 40
const LIMITS = { maxMessageBytes: FILE_MESSAGE_BYTES }

/** One process sends a file to another. */
export async function runFile(group: ProcessGroup, screen: Screen, file: SourceFile): Promise<void> {
  const begin = performance.now()
  const title = `${printable(basename(file.path))}, ${bytes(file.bytes)}, from one process to another`
  screen.line(`${styleText('bold', 'bitvmx-p2p')}  ${title}`)

  const sender = spawn(group, 'sender', 'Ed25519')
  const receiver = spawn(group, 'receiver', 'secp256k1')
  screen.heading('Participants, both on 127.0.0.1')
  screen.live(() => roster(screen, [sender, receiver]))
  await Promise.all([createKey(group, sender), createKey(group, receiver)])
  await Promise.all([listen(group, sender, [receiver], LIMITS), listen(group, receiver, [sender], LIMITS)])
  Object.assign(receiver, { state: 'ready', note: 'waits' })
  await connect(group, sender, receiver)
  screen.close()

  await transfer(group, screen, file, sender, receiver)
  await group.stop()
  const took = duration(performance.now() - begin)
  const done = styleText('green', 'Done')
  screen.line(`\n${done} in ${took}: size and SHA-256 arrived as they were sent.`)
}

async function transfer(
  group: ProcessGroup,
  screen: Screen,
  file: SourceFile,
  sender: Participant,
  receiver: Participant
): Promise<void> {
  const begin = performance.now()
  let arrived = 0
  let ms: number | undefined
  const row = (): Row => {
    const final = ms !== undefined
    const share = file.bytes === 0 ? Number(final) : arrived / file.bytes
    const percent = `${Math.floor(share * 100)}%`.padStart(4)
    const speed = rate(arrived, ms ?? performance.now() - begin)
    const bar = screen.bar(share, BAR_CELLS)
    return { text: `  ${screen.mark(final)}  ${bar}${percent}  ${bytes(arrived)}  ${speed}`, final }
  }
  screen.heading('Transfer: one process reads and sends, the other receives and verifies')
  screen.live(() => [row()])
  const [delivery, arrival] = await Promise.all([
    group.call(sender.process, 'sendFile', { to: receiver.peerId, ...file }),
    group.call(receiver.process, 'receiveFile', { from: sender.peerId }, progress => {
      arrived = progress.bytes ?? arrived
    })
  ])
  arrived = arrival.bytes
  ms = delivery.ms
  screen.close()

  printTallies(screen, [
    { name: sender.name, tally: delivery.tally },
    { name: receiver.name, tally: arrival.tally }
  ])
  screen.line()
  screen.labelled('size', plural(arrival.bytes, 'byte'))
  screen.labelled('SHA-256', arrival.sha256)
  screen.labelled('time', `${duration(ms)}, from the first byte read to the receiver's word that all is well`)
  screen.labelled('speed', rate(file.bytes, ms) || 'nothing to measure')
  screen.labelled('flow', `the sender waited for the receiver ${plural(delivery.waits, 'time')}`)
}
