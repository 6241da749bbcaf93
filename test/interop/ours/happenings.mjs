/** What the receiver channel has told, beside messages. */
export class Happenings {
  /** Peers that are connected. */
  connected = new Set()
  #seen = []
  #counts = {}
  #waiting = new Set()

  add(event) {
    if (event.type === 'Connected') this.connected.add(event.peerId)
    if (event.type === 'Disconnected') this.connected.delete(event.peerId)
    const name = [event.type, event.code ?? event.cause ?? event.reason ?? event.ok].join(' ').trim()
    this.#counts[name] = (this.#counts[name] ?? 0) + 1
    if (event.type === 'Status') return
    this.#seen.push(event)
    for (const waiting of this.#waiting) {
      if (!waiting.wanted(event)) continue
      this.#waiting.delete(waiting)
      waiting.resolve(event)
    }
  }

  /** An event that was there already since the last `drain`, or one to come. */
  async until(wanted) {
    const seen = this.#seen.find(wanted)
    return seen ?? new Promise(resolve => this.#waiting.add({ wanted, resolve }))
  }

  /** Waits until that peer is connected, or is not. */
  async untilConnected(peerId, connected) {
    if (this.connected.has(peerId) === connected) return
    const type = connected ? 'Connected' : 'Disconnected'
    await new Promise(resolve =>
      this.#waiting.add({ wanted: event => event.type === type && event.peerId === peerId, resolve })
    )
  }

  /** Everything but messages and their outcomes, and how often what came, since the last call. */
  drain() {
    const drained = { events: this.#seen, counts: this.#counts }
    this.#seen = []
    this.#counts = {}
    return drained
  }
}
