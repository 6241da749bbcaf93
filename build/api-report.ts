/** What programs can rely on (docs/versioning.md), in a form in which a change of it shows. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { PROTOCOL_ID } from '../src/framing/constants.ts'
import { resolveOptions } from '../src/options.ts'
import { documentOf } from './document.ts'
import { nameOf, publicTypes } from './public-types.ts'
import { statementsOf } from './syntax.ts'
import type { Node } from './syntax.ts'

export const API_REPORT = 'docs/api-report.md'

/** Comments are for people and may change; what they say to tools, a default or a deprecation, may not unnoticed. */
const TOLD_TAGS = /@(?:default|deprecated)\b[^@]*/g

/** The report on the sources as they are, whatever was built. */
export async function apiReport(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'api-'))
  try {
    execFileSync(
      process.execPath,
      [
        'node_modules/typescript/bin/tsc',
        '-p',
        'tsconfig.build.json',
        '--emitDeclarationOnly',
        '--outDir',
        folder
      ],
      { stdio: 'inherit' }
    )
    return await reportOn(publicTypes(resolve(folder, 'index.d.ts')))
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** The report on the text of a declaration file. */
export async function reportOn(types: string): Promise<string> {
  const { exports, bin, engines } = JSON.parse(readFileSync('package.json', 'utf8')) as Record<string, object>
  return documentOf(`# API report

Written by \`npm run api:accept\`: the public surface, whose changes are versioned ([versioning](versioning.md)). \`npm run check\` fails when the sources say something else.

${block('json', JSON.stringify({ exports, bin, engines }, null, 2))}

Defaults of the options, and the protocol of messages:

${block('ts', `const defaults = ${JSON.stringify(resolveOptions())}\nconst protocol = '${PROTOCOL_ID}'`)}

${declarationsIn(types)
  .map(({ name, text: declared }) => `## ${name}\n\n${block('ts', declared)}`)
  .join('\n\n')}
`)
}

function block(language: string, text: string): string {
  return `\`\`\`${language}\n${text}\n\`\`\``
}

/** By name; what is declared without one, for old compilers, is no surface. */
function declarationsIn(types: string): Array<{ name: string; text: string }> {
  const plain = types.replaceAll(/\/\*\*([^]*?)\*\//g, (_, comment: string) => toldIn(comment))
  return statementsOf(plain, 'dts')
    .map(node => ({ node, declaration: declarationOf(node) }))
    .filter(({ declaration }) => declaration?.type.startsWith('TSModule') === false)
    .map(({ node, declaration }) => ({ name: nameOf(declaration!), text: textOf(plain, node) }))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

function declarationOf(node: Node): Node | null {
  return (node.type === 'ExportNamedDeclaration' ? node['declaration'] : node) as Node | null
}

function textOf(source: string, { start, end }: Node): string {
  return source.slice(start, end).replaceAll(/^\s*\n/gm, '')
}

function toldIn(comment: string): string {
  const told = Array.from(comment.replaceAll(/\n\s*\*/g, '').matchAll(TOLD_TAGS), ([tag]) => tag.trim())
  return told.length === 0 ? '' : `/** ${told.join(' ').replaceAll(/\s+/g, ' ')} */`
}
