/**
 * `npm run node -- 26 …`: what follows, run by the Node of that line which the tests are known to pass on, in the place of
 * the machine's own. The first time it is installed, into npm's cache.
 */
import { spawnSync } from 'node:child_process'
import { NODE_VERSIONS } from './node-versions.mjs'

const [line, ...rest] = process.argv.slice(2)
const version = NODE_VERSIONS[line]
if (version === undefined) {
  console.error(`usage: npm run node -- ${Object.keys(NODE_VERSIONS).join('|')} <arguments of node>`)
  process.exit(2)
}
const command = ['exec', '--yes', `--package=node@${version}`, '--', 'node', ...rest]
const { status, error } = spawnSync('npm', command, { stdio: 'inherit' })
if (error !== undefined) console.error(error.message)
process.exitCode = status ?? 1
