/** Message streams that the other side opened: read its messages, and answer each. */
import { frame, MAX_MESSAGE, MessageDecoder, TOO_LARGE, Violation } from './frames.mjs'

/** How messages are answered. */
export const policy = { acks: '0', raw: '', limit: MAX_MESSAGE }

/** What to write for a message that has arrived; `accept` has taken it when it is accepted. */
function answerTo(payload, accept) {
  if (policy.acks === 'withhold') return Buffer.alloc(0)
  if (policy.acks === 'raw') return Buffer.from(policy.raw, 'hex')
  if (policy.acks === '0') accept(payload)
  return frame(Uint8Array.of(Number(policy.acks)))
}

/**
 * Serves one stream. It has to listen for `message` at once, not in a later turn.
 *
 * Acks are a few bytes for each message, and a sender that does not read them is held up by its own messages: so what
 * `send` says about a full buffer is of no interest here.
 */
export function receive(stream, accept) {
  const decoder = new MessageDecoder()
  let over = false
  stream.addEventListener('message', ({ data }) => {
    if (over) return
    // Several acks that are decided together go together.
    const answers = []
    decoder.limit = policy.limit
    try {
      for (const payload of decoder.push(data)) answers.push(answerTo(payload, accept))
      write(stream, answers)
    } catch (err) {
      if (!(err instanceof Violation)) throw err
      over = true
      // The messages before it have their answers, and the sender of a too large one is told why.
      if (err.fault === 'too-large') answers.push(frame(Uint8Array.of(TOO_LARGE)))
      write(stream, answers)
      // Behind an end the sender still reads what came before it, which a reset alone may have thrown away.
      const reset = () => stream.abort(err)
      void stream.close().then(reset, reset)
    }
  })
  const end = () => {
    if (stream.status !== 'open') return
    try {
      decoder.end()
      void stream.close().catch(() => {})
    } catch (err) {
      stream.abort(err)
    }
  }
  // All that was sent has been read, and there will be no more.
  stream.addEventListener('end', end)
  if (stream.readableEnded) end()
}

function write(stream, answers) {
  const bytes = Buffer.concat(answers)
  if (bytes.length > 0 && stream.writeStatus === 'writable') stream.send(bytes)
}
