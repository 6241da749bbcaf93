package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

// A frame is to be complete within this, from its first byte, and acks are to be read within it.
const messageTimeout = 30 * time.Second

// A policy says how messages are answered.
type policy struct {
	answer []byte
	accept bool
	limit  int
}

// A tally is what has been accepted from a peer since somebody asked.
type tally struct {
	count, bytes int
	hash         hash.Hash
}

// An inbox counts the messages that arrive, and answers them as the policy says.
type inbox struct {
	policy  atomic.Pointer[policy]
	mu      sync.Mutex
	tallies map[peer.ID]*tally
	waiting map[peer.ID]chan struct{} // closed with the next message
}

func newInbox() *inbox {
	in := &inbox{tallies: map[peer.ID]*tally{}, waiting: map[peer.ID]chan struct{}{}}
	in.policy.Store(&policy{answer: []byte{1, accepted}, accept: true, limit: maxMessage})
	return in
}

// serve is the handler of message streams.
func (in *inbox) serve(s network.Stream) {
	if err := in.receive(s); err != nil {
		logger.Printf("reset a message stream of %s: %v", s.Conn().RemotePeer(), err)
		s.Reset()
		return
	}
	s.Close()
}

// arrivals reads a stream. Before it may have to wait it writes the acks, so that those of all messages that arrived
// together are written together.
type arrivals struct {
	network.Stream
	acks     *bufio.Writer
	deadline time.Time // of the frame that has begun
}

func (a *arrivals) Read(piece []byte) (int, error) {
	if a.acks.Buffered() > 0 {
		a.SetWriteDeadline(time.Now().Add(messageTimeout))
		if err := a.acks.Flush(); err != nil {
			return 0, err
		}
	}
	a.SetReadDeadline(a.deadline)
	return a.Stream.Read(piece)
}

// receive answers the messages of a stream until that ends.
func (in *inbox) receive(s network.Stream) error {
	from := &arrivals{Stream: s, acks: bufio.NewWriterSize(s, pieceSize)}
	frames := bufio.NewReaderSize(from, pieceSize)
	var message bytes.Buffer
	for {
		// Between frames a stream may rest as long as it likes.
		from.deadline = time.Time{}
		if _, err := frames.Peek(1); err == io.EOF {
			return from.acks.Flush()
		} else if err != nil {
			return err
		}
		from.deadline = time.Now().Add(messageTimeout)
		policy := in.policy.Load()
		err := readFrame(frames, policy.limit, &message)
		switch {
		case err == tooLarge:
			from.acks.Write([]byte{1, refusedTooLarge})
		case err == nil:
			if policy.accept {
				in.take(s.Conn().RemotePeer(), message.Bytes())
			}
			from.acks.Write(policy.answer)
		}
		if err != nil {
			// The acks of the messages before it are due all the same.
			from.acks.Flush()
			if err == tooLarge {
				s.CloseWrite() // else the reset that follows may throw away acks that have not been read
			}
			return err
		}
		if message.Cap() > pieceSize {
			message = bytes.Buffer{}
		}
	}
}

// take adds a message to its sender's tally.
func (in *inbox) take(p peer.ID, message []byte) {
	in.mu.Lock()
	defer in.mu.Unlock()
	t := in.tally(p)
	t.count++
	t.bytes += len(message)
	var length [4]byte
	binary.BigEndian.PutUint32(length[:], uint32(len(message)))
	t.hash.Write(length[:])
	t.hash.Write(message)
	if next := in.waiting[p]; next != nil {
		close(next)
		delete(in.waiting, p)
	}
}

func (in *inbox) tally(p peer.ID) *tally {
	if in.tallies[p] == nil {
		in.tallies[p] = &tally{hash: sha256.New()}
	}
	return in.tallies[p]
}

// expect waits until that many messages of a peer have been accepted, and begins to count anew.
func (in *inbox) expect(ctx context.Context, p peer.ID, count int) (*tally, error) {
	for {
		in.mu.Lock()
		if t := in.tally(p); t.count >= count {
			delete(in.tallies, p)
			in.mu.Unlock()
			return t, nil
		}
		next := in.waiting[p]
		if next == nil {
			next = make(chan struct{})
			in.waiting[p] = next
		}
		in.mu.Unlock()
		select {
		case <-next:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}
