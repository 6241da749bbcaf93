import { basename } from 'node:path'
import type { Crew } from './crew.ts'
import type { File } from './file.ts'
import { FILE_MESSAGE_BYTES } from './file-frames.ts'
import { bytes, duration, plural, printable, rate } from './format.ts'
import { connect, enlist, giveAllowList, introduce, listen, roster } from './roster.ts'
import type { Participant } from './roster.ts'
import type { Row, Screen } from './screen.ts'
import { printTallies } from './table.ts'
import { version } from './usage.ts'

const MIB = 1024 * 1024
const BAR_CELLS = 40
/** Little may be under way at a time: what waits is the file, and not copies of it in memory. */
const SENDER_LIMITS = { maxMessageBytes: FILE_MESSAGE_BYTES, senderBytes: 16 * MIB }
const RECEIVER_LIMITS = { maxMessageBytes: FILE_MESSAGE_BYTES }

/** One process sends a file to another. */
export async function demoFile(crew: Crew, screen: Screen, file: File): Promise<void> {
  const begin = performance.now()
  const sender = enlist(crew, 'sender', 'Ed25519')
  const receiver = enlist(crew, 'receiver', 'secp256k1')
  const both = [sender, receiver]
  screen.line(
    `${screen.style('bold', `bitvmx-p2p ${version()}`)}  ${printable(basename(file.path))}, ${bytes(file.bytes)}, ` +
      'from one process to another'
  )
  screen.heading('Participants, both on 127.0.0.1')
  screen.live(() => roster(screen, both))
  await Promise.all(both.map(async one => introduce(crew, one)))
  await Promise.all([giveAllowList(crew, sender, [receiver]), giveAllowList(crew, receiver, [sender])])
  crew.removeDirectory()
  await Promise.all([listen(crew, sender, SENDER_LIMITS), listen(crew, receiver, RECEIVER_LIMITS)])
  receiver.state = 'ready'
  receiver.note = 'waits'
  await connect(crew, sender, receiver)
  screen.close()

  await transfer(crew, screen, file, sender, receiver)
  await crew.leave()
  screen.line()
  const done = screen.style(['green', 'bold'], 'Done')
  screen.line(
    `${done} in ${duration(performance.now() - begin)}: size and SHA-256 arrived as they were sent.`
  )
}

async function transfer(
  crew: Crew,
  screen: Screen,
  file: File,
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
    const text = `  ${screen.mark(final)}${screen.bar(share, BAR_CELLS)}  ${percent}  ${bytes(arrived)}  ${speed}`
    return { text, final }
  }
  screen.heading('Transfer: one process reads and sends, the other receives and verifies')
  screen.live(() => [row()])
  receiver.member.onProgress = ({ bytes: now = 0 }) => {
    if (now > arrived) crew.carryOn()
    arrived = now
  }
  const [delivery, arrival] = await Promise.all([
    crew.ask(sender.member, 'sendFile', { to: receiver.peerId, ...file }),
    crew.ask(receiver.member, 'receiveFile', { from: sender.peerId })
  ])
  arrived = arrival.bytes
  ms = delivery.ms
  screen.close()

  screen.heading('Summary')
  printTallies(screen, [
    { name: sender.name, tally: delivery.tally },
    { name: receiver.name, tally: arrival.tally }
  ])
  screen.line()
  const { waits, resent } = delivery
  const say = (what: string, text: string): void => screen.labelled(`    ${what.padEnd(9)}`, text)
  say('size', plural(arrival.bytes, 'byte'))
  say('SHA-256', arrival.sha256)
  say('time', `${duration(ms)}, from the first byte read to the receiver's word that all is well`)
  say('speed', rate(file.bytes, ms) || 'nothing to measure')
  say('flow', `the sender waited for room ${plural(waits, 'time')}; ${plural(resent, 'message')} sent again`)
}
