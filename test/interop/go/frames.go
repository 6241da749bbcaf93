package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"

	"github.com/libp2p/go-libp2p/core/protocol"
)

const (
	messages protocol.ID = "/bitvmx/comms/1.0.0"

	maxPrefix  = 4
	maxMessage = 8 << 20 // unless a receiver is configured otherwise
	maxAck     = 64
)

// The statuses of acks.
const (
	accepted byte = iota
	refusedFull
	refusedTooLarge
	statuses
)

// A violation is something that the other side must not write. Its text is its name in the test vectors.
type violation string

func (v violation) Error() string { return string(v) }

const (
	notMinimal    violation = "not-minimal"
	prefixTooLong violation = "prefix-too-long"
	cutOff        violation = "cut-off"
	tooLarge      violation = "too-large"
	emptyAck      violation = "empty"
	ackTooLong    violation = "too-long"
	unknownStatus violation = "unknown-status"
)

// readLength reads a minimal varint of at most four bytes. binary.ReadUvarint takes others, too. Only an end before the
// first byte is io.EOF.
func readLength(from io.ByteReader) (int, error) {
	length := 0
	for i := range maxPrefix {
		b, err := from.ReadByte()
		switch {
		case err == io.EOF && i > 0:
			return 0, cutOff
		case err != nil:
			return 0, err
		case b == 0 && i > 0:
			return 0, notMinimal
		}
		length |= int(b&0x7f) << (7 * i)
		if b < 0x80 {
			return length, nil
		}
	}
	return 0, prefixTooLong
}

// readFrame reads a payload into a buffer, which grows with what arrives, not with the length that was announced.
func readFrame(from *bufio.Reader, limit int, into *bytes.Buffer) error {
	into.Reset()
	length, err := readLength(from)
	if err != nil {
		return err
	}
	if length > limit {
		return tooLarge
	}
	if _, err = io.CopyN(into, from, int64(length)); err == io.EOF {
		return cutOff
	}
	return err
}

// readAck reads the next ack's status. What follows that is reserved, and ignored.
func readAck(from *bufio.Reader, into *bytes.Buffer) (byte, error) {
	switch err := readFrame(from, maxAck, into); {
	case err == tooLarge:
		return 0, ackTooLong
	case err != nil:
		return 0, err
	case into.Len() == 0:
		return 0, emptyAck
	case into.Bytes()[0] >= statuses:
		return 0, unknownStatus
	}
	return into.Bytes()[0], nil
}

// appendFrame appends a payload with its length before it.
func appendFrame(to, payload []byte) []byte {
	return append(binary.AppendUvarint(to, uint64(len(payload))), payload...)
}
