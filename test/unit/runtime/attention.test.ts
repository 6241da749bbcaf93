import { describe, expect, it } from 'vitest'
import { Attention } from '../../../src/runtime/attention.ts'

/** The thread's attention, with what it found when it looked, on a clock that stands still. */
class Scene {
  now = 0
  /** One entry for each look: whether another would follow by itself. */
  readonly looks: boolean[] = []
  /** Turns for which something is left. */
  backlog = 0
  readonly attention = new Attention({
    clock: { now: () => this.now, after: () => () => {} },
    look: again => {
      this.looks.push(again)
      return this.backlog-- > 0
    }
  })

  /** Work that follows the work before after so many milliseconds. */
  work(...gaps: number[]): void {
    for (const gap of gaps) {
      this.now += gap
      this.attention.worked()
    }
  }
}

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise(resolve => setImmediate(resolve))
}

describe('attention', () => {
  it('looks at once when it is rung for, and not again', async () => {
    const scene = new Scene()
    scene.attention.rung()
    expect(scene.looks).toEqual([false])
    await turns(3)
    expect(scene.looks).toEqual([false])
  })

  it('looks once a turn while something is left, however often it is rung for', async () => {
    const scene = new Scene()
    scene.backlog = 3
    scene.attention.rung()
    scene.attention.rung()
    await turns(1)
    scene.attention.rung()
    expect(scene.looks.length).toBeLessThanOrEqual(2)
    await turns(6)
    expect(scene.looks).toEqual([false, false, false, false])
  })

  it('stays awake while work comes without a pause, and says so', async () => {
    const scene = new Scene()
    scene.work(0, 0.1, 0.1, 0.1, 0.1)
    await turns(5)
    expect(scene.looks.length).toBeGreaterThanOrEqual(4)
    expect(scene.looks).not.toContain(false)
  })

  it('falls asleep when nothing has come for a moment, and looks once more after having said so', async () => {
    const scene = new Scene()
    scene.work(0, 0.1, 0.1, 0.1, 0.1)
    await turns(2)
    scene.now += 1
    await turns(2)
    expect(scene.looks.at(-1)).toBe(false)
    const { length } = scene.looks
    await turns(5)
    expect(scene.looks).toHaveLength(length)
  })

  it('stays awake for what it finds in that last look', async () => {
    const scene = new Scene()
    scene.work(0, 0.1, 0.1, 0.1, 0.1)
    await turns(2)
    scene.now += 0.29
    scene.attention.worked()
    await turns(3)
    expect(scene.looks.at(-1)).toBe(true)
  })

  it('is not kept awake by a message and its ack now and then', async () => {
    const scene = new Scene()
    for (let i = 0; i < 20; i++) scene.work(10, 0.1, 0.1)
    await turns(5)
    expect(scene.looks).toEqual([])
  })

  it('is not kept awake by steady work with pauses', async () => {
    const scene = new Scene()
    for (let i = 0; i < 100; i++) scene.work(1)
    await turns(5)
    expect(scene.looks).toEqual([])
  })
})
