/** libp2p takes this for granted, and Node 20 lacks it. */
Promise.withResolvers ??= function withResolvers() {
  const all = {}
  all.promise = new this((resolve, reject) => Object.assign(all, { resolve, reject }))
  return all
}
