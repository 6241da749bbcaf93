/** A program of ES modules that takes objects of the package from a CommonJS one: each class has one declaration. */
import { P2p } from 'bitvmx-p2p'
import type { P2pError, P2pEvent } from 'bitvmx-p2p'
import { failure, told, use } from './types.cjs'
import type { Theirs } from './theirs.cjs'

export const same: (theirs: Theirs) => [P2p, P2pError] = ({ p2p, error }) => [p2p, error]
export const back: (ours: { p2p: P2p; error: P2pError }) => Theirs = ours => ours
export const tell: (event: P2pEvent) => string = told
export const all: unknown[] = [failure, use]
