import type { Transport } from '@libp2p/interface'
import { messageOf, P2pError } from '../errors.ts'

const NOWHERE = 'no network interface of this machine has such an address, so nobody could reach it'

/**
 * Notes which addresses could not be bound, and why. libp2p tells it as a list of stack traces, and does not tell it at
 * all when only the IPv6 addresses of a list fail; here each address that is asked for counts.
 */
export class ListenGuard {
  readonly #failures: string[] = []

  /** Puts the guard in front of a transport's listeners. */
  guardTransport<T extends Transport>(transport: T): T {
    const createListener = transport.createListener.bind(transport)
    transport.createListener = options => {
      const listener = createListener(options)
      const listen = listener.listen.bind(listener)
      listener.listen = async address => {
        try {
          await listen(address)
          // A wildcard is bound even when no interface has an address of its family, as with IPv6 switched off.
          if (listener.getAddrs().length === 0) {
            await listener.close()
            throw new Error(NOWHERE)
          }
        } catch (err) {
          this.#failures.push(`${address.toString()}: ${reason(err)}`)
          throw err
        }
      }
      return listener
    }
    return transport
  }

  /** @throws P2pError ERR_LISTEN_FAILED naming every address that could not be bound */
  assertBound(cause?: unknown): void {
    if (this.#failures.length === 0) return
    throw new P2pError('ERR_LISTEN_FAILED', `cannot listen on ${this.#failures.join('; ')}`, { cause })
  }
}

function reason(err: unknown): string {
  const code = typeof err === 'object' && err !== null && 'code' in err ? err.code : undefined
  switch (code) {
    case 'EADDRINUSE':
      return 'the address is in use'
    case 'EADDRNOTAVAIL':
      return 'this machine has no such address'
    case 'EACCES':
      return 'this user may not bind the port'
    default:
      return messageOf(err)
  }
}
