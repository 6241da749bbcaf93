import { expect, test } from 'vitest'
import { startLocal } from '../support/local-node.ts'
import { exitOf, forkProgram } from '../support/node-process.ts'

test.each(['for await', 'recv and a turn'])('a program whose loop is "%s" stops on SIGTERM', async style => {
  const bob = await startLocal()
  const child = forkProgram('stops-on-signal.mjs', [style, bob.peerId, bob.addresses[0]!])
  const exited = exitOf(child)
  await bob.event({ type: 'Data' })
  child.kill('SIGTERM')
  // In good order: its last lines set this code.
  expect(await exited).toEqual({ code: 3, signal: null })
  await bob.event({ type: 'Disconnected' })
})

test('a program that only ever blocks in recv hears of no signal, and goes on', async () => {
  const bob = await startLocal()
  const child = forkProgram('stops-on-signal.mjs', ['recv', bob.peerId, bob.addresses[0]!])
  const exited = exitOf(child)
  const { peerId } = await bob.event({ type: 'Data' })
  child.kill('SIGTERM')
  for (let i = 0; i < 20; i++) {
    bob.p2p.sender.sendMsg(peerId, Buffer.from(`still there ${i}`))
    const { data } = await bob.event({ type: 'Data' })
    expect(Buffer.from(data).toString()).toBe(`still there ${i}`)
  }
  child.kill('SIGKILL')
  expect(await exited).toEqual({ code: null, signal: 'SIGKILL' })
})
