// Burns CPU and does nothing with it: what an attacker's own use of this machine costs everybody on it.
import { serve } from './serve.mjs'

const PERIOD_MS = 10

const methods = {
  /** Burns a share (0 to 1) of one core for so long. */
  async spin({ ms, share }) {
    const end = performance.now() + ms
    while (performance.now() < end) {
      const busyUntil = performance.now() + PERIOD_MS * share
      while (performance.now() < busyUntil);
      await new Promise(resolve => setTimeout(resolve, PERIOD_MS * (1 - share)))
    }
  }
}

serve(methods)
