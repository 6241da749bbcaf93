import type { Connection, MultiaddrConnection } from '@libp2p/interface'

const begun = new WeakMap<object, number>()

/** Notes when a connection came, on the runtime's clock. Upstream's own note of it is the wall clock's, which is set back. */
export function noteBegin(connection: MultiaddrConnection, time: number): void {
  begun.set(connection, time)
}

/** When the connection came that lies beneath this one. Inbound ones are noted only. */
export function begunAt(connection: Connection): number | undefined {
  return begun.get((connection as unknown as { maConn: MultiaddrConnection }).maConn)
}
