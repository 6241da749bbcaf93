import type { ComponentLogger, Logger } from '@libp2p/interface'

const silent: Logger = Object.assign(() => {}, {
  enabled: false,
  trace: () => {},
  error: () => {},
  newScope: () => silent
})

/**
 * libp2p logs some ten times for each frame, and asks each time whether anybody listens. Unless `DEBUG` is set when the
 * process starts, as libp2p's own logs want it, nobody does.
 */
export const logger: ComponentLogger | undefined =
  process.env['DEBUG'] === undefined ? { forComponent: () => silent } : undefined
