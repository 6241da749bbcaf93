/**
 * What follows tsc: puts the runtime thread and all it needs into one file, because a node starts in half the time when 550
 * modules need not be found and read one by one (docs/decisions/0010), and says what is in it.
 * What is bundled is exactly what package-lock.json pins.
 */
import { defineConfig } from 'rolldown'
import type { RolldownOptions } from 'rolldown'
import { contents } from './build/contents.ts'

const config: RolldownOptions = defineConfig({
  input: 'dist/runtime/worker.js',
  platform: 'node',
  plugins: [contents],
  output: { dir: 'dist/worker', cleanDir: true, chunkFileNames: '[name].js', comments: { legal: true } }
})

export default config
