/**
 * Who is measured: one file each, all with the same two doors.
 *
 * @typedef {object} Setup
 * @property {number} size bytes of the messages that will come
 * @property {number} flight how many of them may be in flight
 * @property {{ key: string, cert: string }} tls PEM texts of a certificate for 127.0.0.1 and localhost
 *
 * @typedef {object} Contender
 * @property {string} title what it does, in a line
 * @property {number} [maxFlight] messages that it can have in flight; default: any number
 * @property {(setup: Setup, received: (message: Uint8Array) => void) => Promise<unknown>} listen
 *   in the receiving process: reads every message on its main thread, gives it to `received`, acks it. Resolves with
 *   what `connect` needs to know
 * @property {(setup: Setup, address: any) => Promise<{ drive: (load: import('../load.mjs').Load) => unknown }>} connect
 *   in the sending process: resolves when messages can be sent. `drive` sends a load and returns when it is `done`
 */

/** Names of all contenders, in the order of the tables. The last ones are limits: no peer could be as simple. */
export const CONTENDERS = ['bitvmx-p2p', 'stream-per-message', 'ws', 'zeromq', 'grpc', 'tls', 'tcp']

/** @returns {Promise<Contender>} */
export async function loadContender(name) {
  return import(`./${name}.mjs`)
}
