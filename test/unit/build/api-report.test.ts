import { expect, test } from 'vitest'
import { reportOn } from '../../../build/api-report.ts'

const TYPES = `
/** What it is. */
export type Zeta = 'one' | 'two';
/** Options. */
export interface Alpha {
    /** So long. @default 5 */
    timeoutMs: number;
    /**
     * Something.
     *
     * @deprecated since 0.2: use
     * timeoutMs
     */
    old?: string;
}
declare global { interface SymbolConstructor { readonly dispose: unique symbol } }
export {}
`

test('names stand in their order, with signatures, defaults and deprecations, whatever comments say', async () => {
  const report = await reportOn(TYPES)
  expect(report.indexOf('## Alpha')).toBeLessThan(report.indexOf('## Zeta'))
  expect(report).toContain('/** @default 5 */\n  timeoutMs: number')
  expect(report).toContain('/** @deprecated since 0.2: use timeoutMs */\n  old?: string')
  expect(report).not.toContain('SymbolConstructor')
  expect(await reportOn(TYPES.replace('What it is', 'What it was').replace('Something', 'Anything'))).toBe(
    report
  )
})

test.each([
  ['a code', "'one' | 'two'", "'one'"],
  ['a default', '@default 5', '@default 6'],
  ['an optional member', 'old?: string', 'old: string'],
  ['a name', 'Alpha', 'Beta']
])('%s that changes shows', async (_, from, to) => {
  expect(await reportOn(TYPES.replace(from, to))).not.toBe(await reportOn(TYPES))
})

test('defaults are those that the options resolve to, and entry points those of the package', async () => {
  const report = await reportOn(TYPES)
  expect(report).toContain('handshakeTimeoutMs: 5000')
  expect(report).toContain('"./worker": "./dist/worker/worker.mjs"')
  expect(report).toContain("const protocol = '/bitvmx/comms/1.0.0'")
})
