/**
 * Whether what is written down is what the sources say: the API report, the limits, figures in documents, the way of a
 * message. `--accept-api` and `--write-docs` write what can be written.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { API_REPORT, apiReport } from './api-report.ts'
import {
  figuresOf,
  LIMITS_DOCUMENT,
  limitsDocument,
  limitsOfRooms,
  wrongDefaults,
  wrongFigures
} from './limits.ts'
import { missingStops, section, stopsIn } from './walk.ts'

const limits = limitsOfRooms()

await compare(API_REPORT, await apiReport(), {
  command: 'npm run api:accept',
  accepted: process.argv.includes('--accept-api'),
  why: 'The public surface has changed. If that is meant, say so in CHANGELOG.md (docs/versioning.md), then run'
})
await compare(LIMITS_DOCUMENT, await limitsDocument(limits), {
  command: 'npm run docs',
  accepted: process.argv.includes('--write-docs'),
  why: 'Something bounds otherwise than the document says. Run'
})

const figures = figuresOf(limits)
const documents = ['README.md', ...readdirSync('docs').map(name => `docs/${name}`)].filter(name =>
  name.endsWith('.md')
)
for (const name of documents) {
  for (const wrong of wrongFigures(readFileSync(name, 'utf8'), figures)) complain(`${name}, ${wrong}`)
}

for (const name of ['README.md', 'src/options.ts']) {
  for (const wrong of wrongDefaults(readFileSync(name, 'utf8'))) complain(`${name}: ${wrong}`)
}

const way = section(readFileSync('docs/architecture.md', 'utf8'), '## The way of a message')
const missing = missingStops(stopsIn(way), file =>
  existsSync(`src/${file}`) ? readFileSync(`src/${file}`, 'utf8') : undefined
)
for (const wrong of missing) complain(`docs/architecture.md, "The way of a message": ${wrong}`)

interface Remedy {
  command: string
  accepted: boolean
  why: string
}

async function compare(file: string, text: string, { command, accepted, why }: Remedy): Promise<void> {
  const before = existsSync(file) ? readFileSync(file, 'utf8') : ''
  if (before === text) return
  if (accepted) writeFileSync(file, text)
  else complain(`${file} is not what the sources say.\n${changes(before, text)}\n${why}: ${command}`)
}

/** Lines that one text has and the other has not, in order, some of them. */
function changes(before: string, after: string): string {
  const only = (text: string, other: string, sign: string): string[] => {
    const known = new Set(other.split('\n'))
    return text
      .split('\n')
      .filter(line => !known.has(line))
      .map(line => `${sign} ${line}`)
  }
  return [...only(before, after, '-'), ...only(after, before, '+')].slice(0, 40).join('\n')
}

function complain(what: string): void {
  console.error(what)
  process.exitCode = 1
}
