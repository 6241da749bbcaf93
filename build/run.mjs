/** Runs a program in TypeScript, which Node 20 cannot: `node build/run.mjs build/count.ts …`. */
import { basename, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { rolldown } from 'rolldown'

const [program] = process.argv.slice(2)
const file = resolve('node_modules/.cache/build', basename(program).replace(/\.ts$/, '.mjs'))
const bundle = await rolldown({ input: resolve(program), platform: 'node', external: /^[^./]/ })
await bundle.write({ file, codeSplitting: false })
await import(pathToFileURL(file).href)
