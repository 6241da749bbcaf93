/** Answers the calls of the parent process with these methods, and ends with it. */
export function serve(methods) {
  const answer = async ({ call, method, body }) => {
    try {
      process.send({ reply: call, value: await methods[method](body) })
    } catch (err) {
      process.send({ reply: call, error: { message: String(err?.stack ?? err) } })
    }
  }
  process.on('message', message => void answer(message))
  process.on('disconnect', () => process.exit())
}
