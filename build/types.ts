import { mkdirSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Plugin } from 'rolldown'
import { publicTypes } from './public-types.ts'

/**
 * Writes what `package.json` exports beside the code that tsc has written. A CommonJS program gets a module of its own kind
 * to require, which hands out the very objects of the other, and types of that kind; an ESM program gets the same types by
 * way of those, so that a class has one declaration.
 */
export const types: Plugin = {
  name: 'types',
  writeBundle() {
    mkdirSync('dist/types', { recursive: true })
    writeFileSync('dist/types/index.d.cts', publicTypes(resolve('dist/index.d.ts')))
    writeFileSync('dist/types/index.d.ts', "export * from './index.cjs'\n")
    writeFileSync('dist/index.cjs', "module.exports = require('./index.js')\n")
  }
}
