// Prints what `start` throws for the address on the command line.
import { generatePrivateKey, P2p } from 'bitvmx-p2p'

try {
  P2p.start(process.argv[2], await generatePrivateKey()).stop()
  console.log('{}')
} catch ({ code, message }) {
  console.log(JSON.stringify({ code, message }))
}
