/** The kinds of peers: what each needs, how it is built, and how it is started. Nothing is built into the repository. */
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { homedir, platform } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { run } from './peers.mjs'

const here = fileURLToPath(new URL('.', import.meta.url))
/** A first build fetches and compiles some hundred crates. */
const BUILD_MS = 45 * 60_000

/** Where builds and results are kept. */
export function cacheFolder() {
  if (process.env.BITVMX_INTEROP_CACHE) return process.env.BITVMX_INTEROP_CACHE
  const caches = platform() === 'darwin' ? join(homedir(), 'Library/Caches') : join(homedir(), '.cache')
  return join(process.env.XDG_CACHE_HOME || caches, 'bitvmx-p2p-interop')
}

/**
 * Our module's program. Of every kind: the modes in which it sends, and whether it takes streams of any number of
 * messages (docs/protocol.md demands that) or one message of each.
 */
export const OURS = {
  name: 'ours',
  command: [process.execPath, join(here, 'ours/peer.mjs')],
  args: [],
  modes: ['long'],
  inbound: 'streams'
}

/** Plain js-libp2p, from the packages of our own. */
export const JS = {
  name: 'js',
  command: [process.execPath, join(here, 'js/peer.mjs')],
  args: [],
  modes: ['long', 'single'],
  inbound: 'streams'
}

const BUILDERS = {
  js: async () => [JS],
  rust: async say => {
    const folder = join(here, 'rust')
    const version = await toolchain('rust', 'cargo', ['--version'])
    const target = process.env.CARGO_TARGET_DIR ?? join(cacheFolder(), 'rust')
    say(`building rust/ with ${version}`)
    await run(['cargo', 'build', '--release', '--locked'], {
      cwd: folder,
      env: { ...process.env, CARGO_TARGET_DIR: target },
      ms: BUILD_MS
    })
    const command = [join(target, 'release/peer')]
    const hostile = [join(target, 'release/hostile')]
    return [
      { name: 'rust', command, hostile, modes: ['long', 'single'] },
      {
        name: 'rust rr',
        command,
        args: ['--inbound', 'request-response'],
        modes: ['single'],
        inbound: 'one message'
      }
    ]
  },
  go: async say => {
    const folder = join(here, 'go')
    const version = await toolchain('go', 'go', ['version'])
    const program = join(cacheFolder(), 'go/peer')
    await mkdir(join(cacheFolder(), 'go'), { recursive: true })
    say(`building go/ with ${version}`)
    await run(['go', 'build', '-o', program, '.'], { cwd: folder, ms: BUILD_MS })
    return [{ name: 'go', command: [program], modes: ['long', 'single'] }]
  },
  python: async say => {
    const version = await toolchain('python', 'python3', ['--version'])
    const folder = join(here, 'python')
    const requirements = join(folder, 'requirements.txt')
    // An environment for each set of requirements: one that is there is complete.
    const digest = createHash('sha256').update(`${version}\n${readFileSync(requirements, 'utf8')}`)
    const environment = join(cacheFolder(), `python-${digest.digest('hex').slice(0, 12)}`)
    const python = join(environment, 'bin/python')
    const complete = join(environment, 'complete')
    if (!existsSync(complete)) {
      say(`installing python/ with ${version}`)
      await run(['python3', '-m', 'venv', '--clear', environment], { ms: BUILD_MS })
      const install = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', requirements]
      await run([python, ...install], { ms: BUILD_MS })
      await writeFile(complete, version)
    }
    const modes = ['long', 'single']
    return [{ name: 'python', command: [python, '-B', join(folder, 'peer.py')], modes }]
  }
}

const DEFAULTS = { args: [], inbound: 'streams' }

/** Names that `--only` takes. */
export const NAMES = Object.keys(BUILDERS)

/** The kinds that this machine can run, why others were left out, and what is wrong with those that did not build. */
export async function build(names, say) {
  const kinds = []
  const leftOut = []
  const broken = []
  for (const name of names) {
    const start = performance.now()
    try {
      for (const kind of await BUILDERS[name](say)) kinds.push({ ...DEFAULTS, ...kind })
      say(`${name} is ready after ${((performance.now() - start) / 1_000).toFixed(1)} s`)
    } catch (err) {
      const list = err instanceof Missing ? leftOut : broken
      list.push(`${name}: ${err.message}`)
      say(list.at(-1))
    }
  }
  return { kinds, leftOut, broken }
}

/** There are no tools for it here. Anything else that goes wrong with a build is a failure. */
class Missing extends Error {}

async function toolchain(folder, program, args) {
  if (!existsSync(join(here, folder))) throw new Missing(`there is no test/interop/${folder}`)
  try {
    return (await run([program, ...args])).trim()
  } catch {
    throw new Missing(`${program} was not found`)
  }
}
