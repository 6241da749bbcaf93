import { closeSync, openSync } from 'node:fs'
import { devNull } from 'node:os'
import { Worker } from 'node:worker_threads'
import type { MessagePort } from 'node:worker_threads'
import { RuntimeState, Word } from '../bridge/index.ts'
import type { RuntimeData } from '../bridge/index.ts'
import { messageOf, P2pError } from '../errors.ts'
import { packedWorker, REMEDY } from './worker-file.ts'
import { MAX_CAUSE_LENGTH, MIN_DESCRIPTORS, YOUNG_GENERATION_MIB } from './limits.ts'

/**
 * The thread's first lines. They come from no file, so that they can tell why the file cannot be loaded, to a caller that
 * blocks as well: Node itself tells it on the caller's event loop only.
 */
const DOOR = `'use strict'
const { workerData: { entry, port, data: { control }, remedy } } = require('node:worker_threads')
import(entry).catch(err => {
  const file = require('node:url').fileURLToPath(entry)
  const why = err?.code === 'ERR_MODULE_NOT_FOUND'
    ? 'its file ' + file + ' is missing. ' + remedy
    : 'its file ' + file + ' does not load: ' + String(err?.message ?? err).slice(0, ${MAX_CAUSE_LENGTH})
  port.postMessage({
    started: { error: { code: 'ERR_RUNTIME_FAILED', message: 'the runtime thread cannot start: ' + why } }
  })
  Atomics.store(control, ${Word.state}, ${RuntimeState.failed})
  Atomics.add(control, ${Word.replySignal}, 1)
  Atomics.notify(control, ${Word.replySignal})
  process.exit(1)
})`

interface WorkerInit {
  port: MessagePort
  data: RuntimeData
  lifeline: MessagePort
}

/**
 * Starts the runtime thread from its file, or from the one at `url`.
 *
 * @throws P2pError ERR_INVALID_OPTION as `plainly`, ERR_RUNTIME_FAILED
 */
export function startWorker(init: WorkerInit, url: string | undefined): Worker {
  const entry = url ?? packedWorker().href
  return plainly(() => {
    try {
      assertDescriptors()
      return new Worker(DOOR, {
        eval: true,
        name: 'bitvmx-p2p',
        workerData: { ...init, entry, remedy: REMEDY },
        transferList: [init.port, init.lifeline],
        // Flags meant for the application's own entry point (--input-type, --test, loaders) are not for this thread.
        execArgv: [],
        resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MIB }
      })
    } catch (err) {
      if ((err as Error).name === 'DataCloneError') throw err
      const denied = (err as { code?: unknown }).code === 'ERR_ACCESS_DENIED'
      const why = denied ? "Node's permission model is on, and wants --allow-worker" : messageOf(err)
      throw new P2pError('ERR_RUNTIME_FAILED', `the runtime thread cannot start: ${why}`, { cause: err })
    }
  })
}

/**
 * A thread for which there are too few descriptors ends before its first line, and only an event tells so. @throws what
 * the system says when there are too few
 */
function assertDescriptors(): void {
  const taken: number[] = []
  try {
    while (taken.length < MIN_DESCRIPTORS) taken.push(openSync(devNull, 'r'))
  } catch (err) {
    const { code } = err as { code?: unknown }
    // Anything else says something about the device only.
    if (code !== 'EMFILE' && code !== 'ENFILE') return
    const whose = code === 'EMFILE' ? 'this process' : 'this machine'
    throw new Error(`${code}: ${whose} has no file descriptors left for it`, { cause: err })
  } finally {
    for (const descriptor of taken) closeSync(descriptor)
  }
}

/** Hands values to the other thread. @throws P2pError ERR_INVALID_OPTION when one of them is of a kind that cannot cross */
export function plainly<T>(hand: () => T): T {
  try {
    return hand()
  } catch (err) {
    if ((err as Error).name !== 'DataCloneError') throw err
    const message =
      'the allow list holds a function, a symbol or a proxy, wanted plain objects, arrays and strings'
    throw new P2pError('ERR_INVALID_OPTION', message, { cause: err })
  }
}
