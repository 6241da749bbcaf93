export const MULTISTREAM: string
export const NOISE: string
export const YAMUX: string
export const COMMS: string
export function varint(value: number): Buffer
export function prefixed(bytes: Uint8Array): Buffer
export function lines(...texts: string[]): Buffer
