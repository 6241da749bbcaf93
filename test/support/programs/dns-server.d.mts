export interface DnsServer {
  address: string
  asked: string[]
  close: () => void
}
export function startDnsServer(
  answer: (name: string, family: 0 | 4 | 6) => string[] | 'no' | undefined,
  port?: number
): Promise<DnsServer>
