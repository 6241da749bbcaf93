/** The test vectors, checked by each implementation's own code. */
import { fileURLToPath } from 'node:url'
import { run } from '../peers.mjs'

const FILE = fileURLToPath(new URL('../../fixtures/vectors.json', import.meta.url))

export const vectors = {
  name: 'vectors',
  title: 'test vectors, by its own code',
  once: true,
  applies: ({ args }) => args.length === 0,
  run: async cell => {
    const output = await run([...cell.kind.command, 'vectors', FILE])
    cell.notes.push(output.trim().split('\n').at(-1))
  }
}
