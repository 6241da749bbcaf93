/**
 * Two threads' halves of a channel, run in one thread and switched at every atomic access. A half makes steps, each of
 * them one call from outside. Before each atomic access of a step the other half may make whole steps: it meets the memory
 * as it is between the two accesses.
 */

/** A half. A step returns false when there is nothing to do. */
export type Half = () => boolean

/** How many of so many possibilities come first. */
export type Choose = (below: number) => number

/** Steps of the other half in the middle of one. */
const MAX_STEPS = 3
const HOOKED = ['load', 'store', 'exchange', 'compareExchange', 'add', 'sub'] as const

/** Ends a step that would block. The next one begins anew, as a woken thread looks anew. */
class Blocked extends Error {}

export interface Schedule {
  choose: Choose
  /** Switches that are not forced, at most; all others would be more of the same. */
  switches: number
  /** Memory at whose accesses nothing is switched. */
  whole?: SharedArrayBuffer
}

/** Runs both halves until neither has anything to do. @throws when one still sleeps then */
export function interleave({ choose, switches, whole }: Schedule, halves: readonly [Half, Half]): void {
  const atomics = { ...(Object.getOwnPropertyDescriptors(Atomics) as Record<string, PropertyDescriptor>) }
  const sleeping: Array<string | undefined> = [undefined, undefined]
  let left = switches
  let running = 0
  let depth = 0
  /** Steps from the outside, in a row, in which neither half did anything. */
  let idle = 0

  const step = (half: number): boolean => {
    if (sleeping[half] !== undefined) return false
    const outer = running
    running = half
    depth++
    try {
      const done = halves[half]!()
      if (done) idle = -1
      return done
    } catch (err) {
      if (!(err instanceof Blocked)) throw err
      idle = -1
      return true
    } finally {
      depth--
      running = outer
    }
  }
  const mayBeStopped = (array: Int32Array): void => {
    // The inner half runs through: the outer one is in the middle of a step already.
    if (depth !== 1 || left === 0 || array.buffer === whole) return
    const steps = choose(MAX_STEPS + 1)
    if (steps > 0) left--
    for (let i = 0; i < steps && step(1 - running); i++);
  }

  for (const name of HOOKED) {
    const original = Atomics[name] as (...args: unknown[]) => number
    const hooked = (array: Int32Array, ...rest: unknown[]): number => {
      mayBeStopped(array)
      return original(array, ...rest)
    }
    Object.assign(Atomics, { [name]: hooked })
  }
  const load = atomics['load']!.value as typeof Atomics.load
  Object.assign(Atomics, {
    // Never ends by its time: a thread that sleeps until then has missed what should have woken it.
    wait: (array: Int32Array, index: number, expected: number): string => {
      mayBeStopped(array)
      if (load(array, index) !== expected) return 'not-equal'
      sleeping[running] = placeOf(array, index)
      throw new Blocked()
    },
    notify: (array: Int32Array, index: number): number => {
      mayBeStopped(array)
      const woken = sleeping.indexOf(placeOf(array, index))
      if (woken === -1) return 0
      sleeping[woken] = undefined
      return 1
    }
  })
  try {
    let half = 0
    while (idle < 2) {
      if (idle <= 0 && left > 0 && choose(2) === 1) {
        left--
        half = 1 - half
      }
      if (!step(half)) half = 1 - half
      idle++
    }
  } finally {
    Object.defineProperties(Atomics, atomics)
  }
  if (sleeping.some(at => at !== undefined)) throw new Error('a half still sleeps')
}

/** Both halves may have views of their own of the same memory. */
const memories = new WeakMap<object, number>()
function placeOf({ buffer, byteOffset }: Int32Array, index: number): string {
  if (!memories.has(buffer)) memories.set(buffer, ++lastMemory)
  return `${memories.get(buffer)} ${byteOffset + 4 * index}`
}
let lastMemory = 0

/** Calls `run` once for each sequence of choices that it can make; how many there were. */
export function exhaust(run: (choose: Choose) => void): number {
  const path: Array<{ choice: number; below: number }> = []
  for (let runs = 1; ; runs++) {
    let at = 0
    run(below => (path[at++] ??= { choice: 0, below }).choice)
    path.length = at
    while (path.length > 0 && path.at(-1)!.choice === path.at(-1)!.below - 1) path.pop()
    if (path.length === 0) return runs
    path.at(-1)!.choice++
  }
}

/** Calls `run` so often with choices by chance, which are the same ones each time. Threads are seldom stopped. */
export function sample(times: number, seed: number, run: (choose: Choose, random: Choose) => void): void {
  let state = seed
  const random = (below: number): number => {
    // xorshift32
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
  for (let i = 0; i < times; i++) {
    const calm = 1 + random(6)
    run(below => (random(calm) === 0 ? random(below) : 0), random)
  }
}
