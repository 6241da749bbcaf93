/**
 * All scenarios, in the order of the matrix. Each has a `name` for the command line, a `title`, `applies(kind)`, and
 * `run(cell, { quick })`, which throws when what it proves does not hold. Those with `once` have no direction.
 */
import { deniedByOther, identities, unknown, wrongIdentity, wrongIp } from './admission.mjs'
import { echoLong, echoSingle, pipelined } from './echo.mjs'
import { hostile } from './hostile.mjs'
import { badAcks, cutOff, malformed, withheld } from './malformed.mjs'
import { libp2pPing, ping } from './ping.mjs'
import { full, tooLarge } from './refusals.mjs'
import { bothDial, restart } from './restart.mjs'
import { vectors } from './vectors.mjs'

export const SCENARIOS = [
  vectors,
  ping,
  libp2pPing,
  identities,
  echoLong,
  echoSingle,
  pipelined,
  full,
  tooLarge,
  unknown,
  deniedByOther,
  wrongIp,
  wrongIdentity,
  malformed,
  cutOff,
  badAcks,
  withheld,
  restart,
  bothDial,
  hostile
]
