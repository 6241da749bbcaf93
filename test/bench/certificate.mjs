/** A key and a certificate for this machine, made for one run and kept in memory. */
import { generate } from 'selfsigned'

const DNS_NAME = { type: 2, value: 'localhost' }
const IP_ADDRESS = { type: 7, ip: '127.0.0.1' }
const DAY_MS = 24 * 60 * 60 * 1_000

export async function createCertificate() {
  const { private: key, cert } = await generate([{ name: 'commonName', value: 'localhost' }], {
    keyType: 'ec',
    curve: 'P-256',
    notAfterDate: new Date(Date.now() + DAY_MS),
    extensions: [{ name: 'subjectAltName', altNames: [DNS_NAME, IP_ADDRESS] }]
  })
  return { key, cert }
}
