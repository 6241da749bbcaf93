/** Tests without a test runner, for programs whose last line is "N passed, N failed" (.ci/run reads it). */
let passed = 0
let failed = 0
/** Of what a program wrote when it failed, in characters: some print a whole bundle. */
const SHOWN = 4_000

/** One test: tells its name, and what it says or what went wrong. */
export async function test(name, work) {
  try {
    const said = await work()
    passed++
    console.log(`passed: ${name}${said === undefined ? '' : `: ${said}`}`)
  } catch (err) {
    failed++
    const output = `${err.stdout ?? ''}${err.stderr ?? ''}`
    console.log(`FAILED ${name}: ${(output || String(err.stack)).slice(0, SHOWN)}`)
  }
}

/** Tells the outcome of all tests, also as the exit code. */
export function conclude() {
  console.log(`${passed} passed, ${failed} failed`)
  process.exitCode = failed === 0 ? 0 : 1
}
