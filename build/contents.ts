/** What is inside the bundled runtime thread: the texts of its licences, and a software bill of materials. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Plugin } from 'rolldown'

/** The folder of the package that a file belongs to. */
const PACKAGE_FOLDER = /^.*node_modules\/(?:@[^/]+\/)?[^/]+/
const LICENCE_FILE = /^(?:licen[cs]e|copying|notice)/i
/** The only form of hash that package-lock.json has here, as CycloneDX names it. */
const INTEGRITY = /^sha512-(?<base64>[\w+/]+=*)$/
const HASH = 'SHA-512'

interface Manifest {
  name: string
  version: string
  license: string
  description?: string
}

interface Locked {
  version: string
  integrity: string
}

/** Puts `LICENSES.txt` and `bom.cdx.json` (CycloneDX 1.6) beside the bundle. */
export const contents: Plugin = {
  name: 'contents',
  generateBundle(_, bundle) {
    const files = Object.values(bundle).flatMap(file =>
      file.type === 'chunk' ? Object.keys(file.modules) : []
    )
    const folders = onceEach(files.flatMap(file => PACKAGE_FOLDER.exec(file) ?? []))
    this.emitFile({ type: 'asset', fileName: 'LICENSES.txt', source: folders.map(licencesOf).join('\n\n') })
    this.emitFile({
      type: 'asset',
      fileName: 'bom.cdx.json',
      source: `${JSON.stringify(billOfMaterials(folders), null, 2)}\n`
    })
  }
}

/** One folder of each package and version, by name: npm installs some more than once. */
function onceEach(folders: string[]): string[] {
  const byIdentity = new Map(
    folders.map(folder => {
      const { name, version } = manifestOf(folder)
      return [`${name}@${version}`, folder]
    })
  )
  return [...byIdentity].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, folder]) => folder)
}

function licencesOf(folder: string): string {
  const { name, version, license } = manifestOf(folder)
  const texts = readdirSync(folder)
    .filter(file => LICENCE_FILE.test(file))
    .map(file => readFileSync(join(folder, file), 'utf8').trim())
  return [`${name} ${version}: ${license}`, ...texts].join('\n\n')
}

/** The same for the same lock file: it has neither a time nor a random number. */
function billOfMaterials(folders: string[]): object {
  const lock = readJson('package-lock.json') as { packages: Record<string, Locked> }
  const { description, ...self } = manifestOf('.')
  return {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: {
      lifecycles: [{ phase: 'build' }],
      component: { type: 'library', ...identityOf(self), description, licenses: licencesFor(self) }
    },
    components: folders.map(folder => {
      const manifest = manifestOf(folder)
      const locked = lock.packages[folder.slice(folder.indexOf('node_modules/'))]
      if (locked?.version !== manifest.version) throw new Error(`${folder} is not what package-lock.json has`)
      return {
        type: 'library',
        ...identityOf(manifest),
        hashes: [{ alg: HASH, content: hexOf(locked.integrity) }],
        licenses: licencesFor(manifest)
      }
    })
  }
}

function identityOf({ name, version }: Manifest): object {
  // Source: the package URL specification; the scope is a namespace, whose @ is escaped.
  const purl = `pkg:npm/${name.replace('@', '%40')}@${version}`
  return { 'bom-ref': purl, name, version, purl }
}

/** A lone identifier, or an SPDX expression. */
function licencesFor({ license }: Manifest): object[] {
  return license.includes(' ') ? [{ expression: license }] : [{ license: { id: license } }]
}

function hexOf(integrity: string): string {
  const base64 = INTEGRITY.exec(integrity)?.groups?.['base64']
  if (base64 === undefined) throw new Error(`not one sha512 hash: ${integrity}`)
  return Buffer.from(base64, 'base64').toString('hex')
}

function manifestOf(folder: string): Manifest {
  const { name, version, license, description } = readJson(join(folder, 'package.json')) as Manifest
  return { name, version, license, ...(description !== undefined && { description }) }
}

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(path, 'utf8'))
}
