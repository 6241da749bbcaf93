/** The table of test/adversarial/matrix.test.ts: what an attacker does, who pays for it, and what the evidence says. */
import type { AllowListEntry, MisbehaviourCause } from 'bitvmx-p2p'

export interface Row {
  /** Names the attack in test/adversarial/programs/attacks-*.mjs. */
  attack: string
  /** Told apart from other rows of the same attack. */
  note?: string
  subject: 'ip' | 'peer'
  cause: MisbehaviourCause
  evidence: RegExp
  /** How the attacker stands on the allow list. Default: by its peer ID. */
  listed?: 'no' | ((peerId: string, keyHash: string) => AllowListEntry)
  /** The node sends the attacker a message once it is ready; this is its outcome, unless it is cut off before. */
  provoked?: 'connection-lost' | 'ack-timeout' | 'not-connected' | 'accepted'
  /** The offence takes until a deadline of the node: it is short there, and all are committed at once. */
  slow?: true
}

const handshake = (attack: string, evidence: RegExp, more: Partial<Row> = {}): Row => ({
  attack,
  subject: 'ip',
  cause: 'failed-handshake',
  evidence,
  ...more
})

const slow = (attack: string, evidence: RegExp): Row => handshake(attack, evidence, { slow: true })

const malformed = (attack: string, evidence: RegExp, more: Partial<Row> = {}): Row => ({
  attack,
  subject: 'peer',
  cause: 'malformed-message',
  evidence,
  ...more
})

const ack = (attack: string, evidence: RegExp): Row =>
  malformed(attack, evidence, { provoked: 'connection-lost' })

const abuse = (attack: string, evidence: RegExp): Row => ({
  attack,
  subject: 'peer',
  cause: 'protocol-abuse',
  evidence
})

const elsewhere = ['10.0.0.1', '2001:db8::/32']

export const ROWS: readonly Row[] = [
  // Before anything is negotiated.
  handshake('connects and closes', /./),
  handshake('connects and resets', /./),
  slow('never speaks', /abort|time/i),
  handshake('speaks HTTP', /not multistream-select/),
  handshake('speaks TLS', /not multistream-select/),
  handshake('speaks SSH', /not multistream-select/),
  handshake('sends random bytes', /not multistream-select/),
  handshake('sends zeros', /not multistream-select/),
  handshake('sends 64 KiB of ff', /not multistream-select|not the length of a line/),

  // During the negotiation.
  handshake('names another negotiation', /./),
  handshake('writes a line without its end', /line without its end/),
  handshake('writes a line of 2,000 bytes', /not the length of a line/),
  handshake('writes an empty line', /not the length of a line/),
  handshake('offers only unknown security', /./),
  handshake('offers 40 protocols', /more than 32 lines/),
  handshake('lists protocols for ever', /more than 32 lines/),
  slow('is silent after the first line', /abort|time/i),
  slow('drips the negotiation', /abort|time/i),
  handshake('resets after the first line', /./),
  handshake('resets after Noise is agreed on', /./),
  slow('is silent after Noise is agreed on', /abort|time/i),

  // Message 1.
  handshake('sends an empty message 1', /stage 0/),
  handshake('sends a short message 1', /stage 0/),
  handshake('sends garbage for message 1', /stage 0/),
  handshake('sends a point of low order', /./),
  handshake('sends a long message 1, then garbage', /stage 2/),
  handshake('announces a record and cuts it off', /./),
  slow('drips message 1', /abort|time/i),
  slow('is silent after message 1', /abort|time/i),
  handshake('resets after message 1', /./),

  // Message 3.
  slow('is silent after message 2', /abort|time/i),
  handshake('resets after message 2', /./),
  handshake('sends garbage for message 3', /stage 2/),
  handshake('sends a short message 3', /stage 2/),
  handshake('truncates message 3', /stage 2/),
  handshake('flips a bit of the static key', /stage 2/),
  handshake('flips a bit of the first tag', /stage 2/),
  handshake('flips a bit of the payload', /stage 2/),
  handshake('flips a bit of the last tag', /stage 2/),
  handshake('replays message 3', /stage 2/),

  // The payload of message 3: who it says it is.
  handshake('signs badly', /signature/i),
  handshake('does not sign', /signature|sig/i),
  handshake('signs with another key', /signature/i),
  handshake('signs another static key', /signature/i),
  handshake('names no identity', /./),
  handshake('names a short identity', /./),
  handshake('names an identity of an unknown kind', /./),
  handshake('names garbage as its identity', /./),
  handshake('sends a payload that is no protobuf', /./),
  handshake('sends an empty payload', /./),

  // The muxer.
  handshake('has no muxer in common', /muxer/),
  handshake('negotiates an unknown muxer', /./),
  handshake('floods the muxer negotiation with ff', /not multistream-select|not the length of a line/),
  slow('negotiates no muxer', /abort|time/i),
  handshake('sends a broken record with message 3', /decrypt/),
  handshake('sends a broken frame with message 3', /version/),

  // Who it is, and where it comes from.
  {
    attack: 'shakes hands',
    note: 'and is not on the list',
    subject: 'ip',
    cause: 'unknown-peer',
    evidence: /not on the allow list/,
    listed: 'no'
  },
  {
    attack: 'shakes hands',
    note: 'and its peer ID is pinned to other addresses',
    subject: 'ip',
    cause: 'ip-mismatch',
    evidence: /not at 127\./,
    listed: peerId => ({ peerId, ips: elsewhere })
  },
  {
    attack: 'shakes hands',
    note: 'and its key hash is pinned to other addresses',
    subject: 'ip',
    cause: 'ip-mismatch',
    evidence: /not at 127\./,
    listed: (_, keyHash) => ({ peerId: keyHash, ips: elsewhere })
  },

  // Message frames.
  malformed('a length that is not minimal', /not the minimal varint/),
  malformed('a length of five bytes', /longer than 4 bytes/),
  malformed('an endless length', /longer than 4 bytes/),
  malformed('a frame cut off in its length', /ended inside a frame/),
  malformed('a frame cut off after its length', /ended inside a frame/),
  malformed('a frame cut off in its payload', /ended inside a frame/),
  malformed('a good frame, then a cut one', /ended inside a frame/),
  malformed('a frame that does not end', /not complete in time/, { slow: true }),
  malformed('a frame that drips', /not complete in time/, { slow: true }),
  malformed('257 message streams', /more than 256 message streams/),
  malformed('321 streams', /more than 320 streams/),
  malformed('acks that are not read', /acks were not read in time/, { slow: true }),

  // Acks.
  ack('an unknown status', /unknown status 3/),
  ack('an empty ack', /ack of 0 bytes/),
  ack('an ack of 65 bytes', /ack of 65 bytes/),
  ack('an ack whose length is not minimal', /not the minimal varint/),
  ack('an ack with an endless length', /longer than 4 bytes/),
  ack('an ack that is cut off', /ended inside a frame/),
  malformed('an ack that answers nothing', /answers no message/, { provoked: 'accepted' }),
  {
    attack: 'no ack',
    subject: 'peer',
    cause: 'unanswered-ack',
    evidence: /not answered in time/,
    provoked: 'ack-timeout',
    slow: true
  },

  // Muxer frames and Noise records.
  malformed('a frame of another version', /version/),
  malformed('a frame of an unknown type', /frame type/),
  malformed('an unknown type on no stream', /frame type/),
  malformed('data on no stream', /frame type/),
  malformed('a ping on a stream', /frame type/),
  malformed('a ping without a flag', /frame flag/),
  malformed('an answer to no ping', /ping/),
  malformed('a frame of 300 MiB', /beyond any window/),
  malformed('more than the window', /window exceeded/i),
  malformed('a stream with an even number', /both endpoints are clients/i),
  malformed('a flipped bit in a record', /decrypt/),
  malformed('a record too short to be one', /Noise record|decrypt/i),
  malformed('a record of 0 bytes', /record of 0 bytes/),
  malformed('a record of 64 KiB of garbage', /decrypt|authenticate/),
  malformed('a record that was sent before', /decrypt/),
  malformed('ff instead of a negotiation', /negotiation/),
  malformed('ff as the answer to a negotiation', /negotiation/, { provoked: 'not-connected' }),

  // Legal one by one.
  abuse('a flood of pings', /flood of pings/),
  abuse('a flood of window updates', /flood of muxer frames/),
  abuse('a flood of empty frames', /flood of muxer frames/),
  abuse('a flood of ends of one stream', /flood of muxer frames/),
  abuse('a flood of data for no stream', /flood of muxer frames/),
  abuse('a flood of frames of one byte', /flood of small muxer frames/),
  abuse('a flood of protocols that are not spoken', /flood of protocols/),
  abuse('a flood of streams that are reset at once', /flood of streams/),
  abuse('a flood of streams without a message', /flood of streams/),
  abuse('a flood of messages above the limit', /flood of streams/),
  abuse('a flood of messages above the limit, each behind a good one', /flood of streams/)
]
