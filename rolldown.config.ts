/**
 * What follows tsc: puts the runtime thread and all it needs into one file, because a node starts in half the time when 550
 * modules need not be found and read one by one (docs/decisions/0010); says what is in it; and gathers the public types.
 * What is bundled is exactly what package-lock.json pins.
 */
import { defineConfig } from 'rolldown'
import type { RolldownOptions } from 'rolldown'
import { contents } from './build/contents.ts'
import { types } from './build/types.ts'

const config: RolldownOptions = defineConfig({
  input: 'dist/runtime/worker.js',
  platform: 'node',
  plugins: [contents, types],
  output: {
    dir: 'dist/worker',
    cleanDir: true,
    // A module wherever it is copied to, whatever package.json says there.
    entryFileNames: 'worker.mjs',
    codeSplitting: false,
    comments: { legal: true }
  }
})

export default config
