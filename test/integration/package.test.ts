import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

/** Runs a program that finds the package by its name, and gives what it prints. */
async function run(kind: 'module' | 'commonjs', program: string): Promise<string> {
  const args = ['--no-warnings', `--input-type=${kind}`, '--eval', program]
  return (await promisify(execFile)(process.execPath, args)).stdout
}

test('the first program of the README does what its comments say', async () => {
  const [, program = ''] = /```ts\n(import [^`]*)```/.exec(readFileSync('README.md', 'utf8')) ?? []
  const printed = await run('module', program)
  expect(printed.match(/(?<=type: ')\w+/g)).toEqual(['Connected', 'Connected', 'Data', 'Status'])
  expect(printed).toContain('ok: true')
})

test('a CommonJS program can require the package', async () => {
  const program = `
    const { generatePrivateKey, P2p } = require('bitvmx-p2p')
    generatePrivateKey().then(key => {
      const p2p = P2p.start('127.0.0.1:0', key)
      console.log(p2p.runtime.state)
      p2p.stop()
    })`
  expect(await run('commonjs', program)).toBe('running\n')
})

test('what is required is what is imported', async () => {
  const program = `
    const required = require('bitvmx-p2p')
    import('bitvmx-p2p').then(imported => {
      const names = Object.keys(imported)
      console.log(names.length > 0 && names.every(name => imported[name] === required[name]))
    })`
  expect(await run('commonjs', program)).toBe('true\n')
})
