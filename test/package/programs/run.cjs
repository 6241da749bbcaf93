/** What `require` and `import` give is one and the same, and a node starts, and nothing is said on stderr. */
const required = require('bitvmx-p2p')

async function main() {
  const imported = await import('bitvmx-p2p')
  const names = Object.keys(imported).sort()
  for (const name of names) if (imported[name] !== required[name]) throw new Error(`two of ${name}`)
  const { generatePrivateKey, P2p } = required
  const p2p = P2p.start('127.0.0.1:0', await generatePrivateKey())
  if (p2p.runtime.state !== 'running') throw new Error(p2p.runtime.state)
  p2p.stop()
  await p2p.runtime.closed
  console.log(names.join())
}

void main()
