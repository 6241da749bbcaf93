import type { RuntimeSnapshot } from '../bridge/index.ts'
import { RuntimeState, Word } from '../bridge/index.ts'
import type { AllowListContent, AllowListEntry } from '../allow-list/index.ts'
import type { RuntimeThread } from './runtime-thread.ts'

/**
 * The peers that may connect and be dialled. Every change has taken effect in the runtime when the call returns, which
 * blocks for that long: until the turn that the network thread is in is over, and all that was handed over before is taken,
 * which is at most `limits.senderBytes` for each peer (docs/performance.md). What the change no longer allows has been
 * disconnected then, and its messages settled.
 */
export interface AllowList {
  /**
   * Names a peer, or changes the addresses of one already named.
   *
   * @throws P2pError ERR_INVALID_PEER_ID, ERR_INVALID_ADDRESS, ERR_INVALID_OPTION, ERR_CLOSED
   */
  add: (entry: AllowListEntry) => void
  /** Ends live connections of the peer, dials to it, and its permission; false when it was not named. */
  remove: (peerId: string) => boolean
  /** Puts another list in the place of this one, all or nothing. */
  replace: (list: AllowListContent) => void
  /** `true` lets everybody in, whatever the entries say; `false` goes back to them. */
  allowAll: (on: boolean) => void
  /** The entries, in canonical form. */
  entries: () => AllowListEntry[]
}

/** The network thread. */
export interface Runtime {
  /** `'stopping'` from the call that ends it until everything has been settled. */
  readonly state: 'running' | 'stopping' | 'stopped'
  /**
   * Settles when the thread has ended. Asking for it keeps the process alive until then, so that a program may await
   * nothing else. Printing, copying or serialising this object does not ask.
   */
  readonly closed: Promise<void>
  /**
   * What it holds now; blocks for the answer: until the turn that the network thread is in is over, and at most 4 MiB or
   * 16,384 commands of what was handed over before are taken, however much that is (docs/performance.md).
   *
   * @throws P2pError ERR_CLOSED, ERR_RUNTIME_FAILED
   */
  inspect: () => RuntimeSnapshot
  /** The same without blocking. */
  inspectAsync: () => Promise<RuntimeSnapshot>
}

/** The allow list of one P2p. */
export function createAllowList(thread: RuntimeThread): AllowList {
  return {
    add: entry => void thread.request({ method: 'allow-list.add', entry }),
    remove: peerId => thread.request({ method: 'allow-list.remove', peerId }) as boolean,
    replace: list => void thread.request({ method: 'allow-list.replace', list }),
    allowAll: on => void thread.request({ method: 'allow-list.allow-all', on }),
    entries: () => thread.request({ method: 'allow-list.entries' }) as AllowListEntry[]
  }
}

/** The runtime of one P2p. */
export function createRuntime(thread: RuntimeThread): Runtime {
  return new ThreadRuntime(thread)
}

/** A class, because getters of a prototype are passed over by whatever looks at an object's own fields. */
class ThreadRuntime implements Runtime {
  readonly #thread: RuntimeThread

  constructor(thread: RuntimeThread) {
    this.#thread = thread
  }

  get state(): Runtime['state'] {
    const state = Atomics.load(this.#thread.control, Word.state)
    if (state >= RuntimeState.stopped) return 'stopped'
    return state === RuntimeState.stopping ? 'stopping' : 'running'
  }

  get closed(): Promise<void> {
    this.#thread.awaitEnd()
    return this.#thread.closed
  }

  inspect(): RuntimeSnapshot {
    return this.#thread.request({ method: 'inspect' }) as RuntimeSnapshot
  }

  async inspectAsync(): Promise<RuntimeSnapshot> {
    return (await this.#thread.requestAsync({ method: 'inspect' })) as RuntimeSnapshot
  }
}
