/**
 * Puts the runtime thread and all it needs into one file: a node starts in half the time when 550 modules need not be
 * found and read one by one (docs/decisions/0010). What is bundled is exactly what package-lock.json pins.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { defineConfig } from 'rolldown'
import type { Plugin, RolldownOptions } from 'rolldown'

/** The folder of the package that a file belongs to. */
const PACKAGE_FOLDER = /^.*node_modules\/(?:@[^/]+\/)?[^/]+/
const LICENCE_FILE = /^(?:licen[cs]e|copying|notice)/i

/** The licences of bundled packages go with them. */
const licences: Plugin = {
  name: 'licences',
  generateBundle(_, bundle) {
    const files = Object.values(bundle).flatMap(file =>
      file.type === 'chunk' ? Object.keys(file.modules) : []
    )
    const folders = new Set(files.flatMap(file => PACKAGE_FOLDER.exec(file) ?? []))
    const source = [...folders].sort().map(describe).join('\n\n')
    this.emitFile({ type: 'asset', fileName: 'LICENSES.txt', source })
  }
}

function describe(folder: string): string {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
    name: string
    version: string
    license: string
  }
  const texts = readdirSync(folder)
    .filter(file => LICENCE_FILE.test(file))
    .map(file => readFileSync(join(folder, file), 'utf8').trim())
  return [`${name} ${version}: ${license}`, ...texts].join('\n\n')
}

const config: RolldownOptions = defineConfig({
  input: 'dist/runtime/worker.js',
  platform: 'node',
  plugins: [licences],
  output: { dir: 'dist/worker', cleanDir: true, chunkFileNames: '[name].js', comments: { legal: true } }
})

export default config
