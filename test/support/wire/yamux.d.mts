export const Type: { data: 0; windowUpdate: 1; ping: 2; goAway: 3 }
export const Flag: { syn: 1; ack: 2; fin: 4; rst: 8 }
export const WINDOW: number
export interface Fields {
  version?: number
  type: number
  flags?: number
  stream?: number
  /** The announced length, whatever follows; default: the body's. */
  length?: number
  body?: Uint8Array
}
export function frame(fields: Fields): Buffer
