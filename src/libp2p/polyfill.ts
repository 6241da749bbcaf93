/**
 * What libp2p takes for granted and Node 20 lacks. Import this before libp2p, and only in the runtime thread: the
 * application's own globals are never touched (docs/decisions/0001).
 */
function withResolvers<T>(this: PromiseConstructor): PromiseWithResolvers<T> {
  let resolve!: (value: T | PromiseLike<T>) => void
  let reject!: (reason?: unknown) => void
  const promise = new this<T>((onResolve, onReject) => {
    resolve = onResolve
    reject = onReject
  })
  return { promise, resolve, reject }
}

if (typeof Promise.withResolvers !== 'function') Promise.withResolvers = withResolvers
