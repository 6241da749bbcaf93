/** Length of a prefix, in bytes (docs/protocol.md, "Frames"); a longer one is malformed. */
export const MAX_PREFIX_BYTES = 4

/** Payload of a frame, in bytes: the largest length that a prefix of 4 bytes can express. No message limit may exceed it. */
export const MAX_FRAME_BYTES: number = 2 ** 28 - 1

/** Payload of an ack, in bytes (docs/protocol.md, "Acks"); a longer one is malformed. All but the first are reserved. */
export const MAX_ACK_BYTES = 64

/** Acks of one status in one prebuilt view; more are sent as several views. */
export const MAX_ACKS_PER_VIEW = 4_096

/** An incomplete frame of which no more is here, in bytes, gathers in small slabs: it holds no more than a few times what has come. */
export const SMALL_SLABS_UP_TO_BYTES: number = 32 * 1024
