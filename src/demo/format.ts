/** A number with three digits that mean something: `0.042`, `1.23`, `45.6`, `789`, `12345`. */
export function digits(value: number): string {
  const decimals = value >= 100 ? 0 : value >= 10 ? 1 : value >= 1 ? 2 : 3
  return value.toFixed(decimals)
}

/** Decimal units, as networks count. */
export function bytes(count: number): string {
  if (count < 1_000) return `${count} B`
  let value = count
  let unit = 'B'
  for (const next of ['kB', 'MB', 'GB', 'TB']) {
    // 999.5 and more would be shown as 1000.
    if (value < 999.5) break
    value /= 1_000
    unit = next
  }
  return `${digits(value)} ${unit}`
}

/** Bytes a second. */
export function rate(count: number, ms: number): string {
  return ms > 0 && count > 0 ? `${bytes(Math.round((count / ms) * 1_000))}/s` : ''
}

export function duration(ms: number): string {
  return ms < 999.5 ? `${digits(ms)} ms` : `${digits(ms / 1_000)} s`
}

/** `1,234,567` */
export function whole(count: number): string {
  return count.toLocaleString('en')
}

/** `1 message`, `2 messages` */
export function plural(count: number, noun: string): string {
  return `${whole(count)} ${noun}${count === 1 ? '' : 's'}`
}

/** Peer IDs of one kind begin alike: the end tells them apart. */
export function short(peerId: string): string {
  return `${peerId.slice(0, 4)}…${peerId.slice(-6)}`
}

/** The port of a TCP multiaddr with an IP. */
export function portOf(address: string): string {
  return address.split('/')[4] ?? ''
}

/** What a process said about itself may hold control characters; a terminal would obey them. */
export function printable(text: string): string {
  return text.replaceAll(/\p{Cc}+/gu, ' ')
}

/** Rows of cells as lines: the first column begins at the left, the others end at the right. */
export function inColumns(rows: string[][]): string[] {
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map(row => row[i]!.length)))
  return rows.map(([name, ...cells]) =>
    [`  ${name!.padEnd(widths[0]!)}`, ...cells.map((cell, i) => cell.padStart(widths[i + 1]!))].join('  ')
  )
}
