/** Properties are tried for a second at most: every change of a source runs all that reach it. */
import fc from 'fast-check'

fc.configureGlobal({ interruptAfterTimeLimit: 1_000 })
