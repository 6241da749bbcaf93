export { parseDialAddress, parseListenAddress, toMultiaddr, type Endpoint } from './endpoint.ts'
export { ipOfMultiaddr, networkOf, normalizeIp, addressKey } from './ip.ts'
export { formatIpRange, parseIpRange, type IpRange } from './ip-range.ts'
