/** Properties are tried for a second at most: every change of a source runs all that reach it. */
import { configureGlobal } from 'fast-check'

configureGlobal({ interruptAfterTimeLimit: 1_000 })
