package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
)

const (
	watchTime  = time.Second            // for a stream that is left open
	noticeTime = 100 * time.Millisecond // for a reset behind an end
	maxRead    = 64 << 10               // more than a peer has to say on one stream
)

// A command is one line of input.
type command struct {
	ID      json.RawMessage
	Command string
	PeerID  string
	Address string
	Count   int
	Size    int
	Mode    string
	Window  int
	Acks    string
	Raw     string
	Limit   *int
	Hex     string
	End     string
}

type members = map[string]any

// A session is what commands work with.
type session struct {
	*node
	inbox *inbox
	mu    sync.Mutex
	long  map[peer.ID]*longStream
}

func (s *session) longStream(p peer.ID) *longStream {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.long[p] == nil {
		s.long[p] = &longStream{}
	}
	return s.long[p]
}

// run carries out a command, and returns the members of its answer.
func (s *session) run(ctx context.Context, c command) (members, error) {
	switch c.Command {
	case "listen":
		addresses, err := s.listen(c.Address)
		return members{"addresses": addresses}, err
	case "receive":
		return members{}, s.receive(c)
	}
	p, err := peer.Decode(c.PeerID)
	if err != nil {
		return nil, err
	}
	switch c.Command {
	case "dial":
		return members{}, s.dial(ctx, p, c.Address)
	case "send":
		return s.send(ctx, p, c)
	case "expect":
		return s.expect(ctx, p, c.Count)
	case "raw":
		return s.raw(ctx, p, c)
	case "ping":
		return s.ping(ctx, p, c.Count)
	case "connected":
		return members{"connected": s.connected(p)}, nil
	case "untilDisconnected":
		s.untilDisconnected(ctx, p)
		return members{}, nil
	case "disconnect":
		return members{}, s.Network().ClosePeer(p)
	}
	return nil, fmt.Errorf("no command %q", c.Command)
}

// dial succeeds when the peer has agreed to the protocol: only that shows that it has admitted this node.
func (s *session) dial(ctx context.Context, p peer.ID, address string) error {
	if err := s.connect(ctx, p, address); err != nil {
		return err
	}
	l := s.longStream(p)
	l.Lock()
	defer l.Unlock()
	if _, err := l.use(ctx, s.node, p); err != nil {
		return fmt.Errorf("turned away: %w", err)
	}
	return nil
}

func (s *session) send(ctx context.Context, p peer.ID, c command) (members, error) {
	if c.Size >= 1<<28 {
		return nil, errors.New("a frame holds less than 2^28 bytes")
	}
	b := newBatch(c.Count, c.Size, c.Window)
	var f *fate
	switch c.Mode {
	case "long":
		f = s.longStream(p).sendLong(ctx, s.node, p, b)
	case "single":
		f = sendSingle(ctx, s.node, p, b)
	default:
		return nil, fmt.Errorf("no mode %q", c.Mode)
	}
	ms := milliseconds(time.Since(f.started))
	return members{"acks": f.byStatus(), "unanswered": c.Count - f.answered(), "ms": ms}, nil
}

func (s *session) receive(c command) error {
	next := policy{limit: maxMessage}
	if c.Limit != nil {
		next.limit = *c.Limit
	}
	var err error
	switch c.Acks {
	case "0":
		next.answer, next.accept = []byte{1, accepted}, true
	case "1":
		next.answer = []byte{1, refusedFull}
	case "withhold":
	case "raw":
		next.answer, err = hex.DecodeString(c.Raw)
	default:
		err = fmt.Errorf("no acks %q", c.Acks)
	}
	if err == nil {
		s.inbox.policy.Store(&next)
	}
	return err
}

// expect waits for messages as long as the peer stays connected. If it is not, it may still come.
func (s *session) expect(ctx context.Context, p peer.ID, count int) (members, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if s.connected(p) {
		go func() {
			s.untilDisconnected(ctx, p)
			cancel(errDisconnected)
		}()
	}
	t, err := s.inbox.expect(ctx, p, count)
	if err != nil {
		return nil, err
	}
	return members{"count": t.count, "bytes": t.bytes, "sha256": hex.EncodeToString(t.hash.Sum(nil))}, nil
}

// raw writes bytes on a stream of their own, and tells what came back and how it ended.
func (s *session) raw(ctx context.Context, p peer.ID, c command) (members, error) {
	bytes, err := hex.DecodeString(c.Hex)
	if err != nil {
		return nil, err
	}
	stream, err := s.open(ctx, p, messages)
	if err != nil {
		return nil, err
	}
	// The other side may end the stream before it has everything; reading shows that.
	stream.Write(bytes)
	switch c.End {
	case "close":
		stream.CloseWrite()
	case "reset":
		return members{"read": "", "ended": "reset"}, stream.Reset()
	case "leave":
		stream.SetReadDeadline(time.Now().Add(watchTime))
	default:
		stream.Reset()
		return nil, fmt.Errorf("no end %q", c.End)
	}
	read, err := io.ReadAll(io.LimitReader(stream, maxRead))
	how := howEnded(stream, err, c.End)
	if how != "open" { // else the other side has to end it
		stream.Close()
	}
	return members{"read": hex.EncodeToString(read), "ended": how}, nil
}

func howEnded(s network.Stream, err error, end string) string {
	if err == nil && end == "leave" {
		// A reset behind the end shows only to who would still write.
		time.Sleep(noticeTime)
		err = s.CloseWrite()
	}
	switch {
	case err == nil:
		return "closed"
	case isTimeout(err):
		return "open"
	case s.Conn().IsClosed():
		return "connection"
	default:
		return "reset"
	}
}

func isTimeout(err error) bool {
	var failure net.Error
	return errors.As(err, &failure) && failure.Timeout()
}

func (s *session) ping(ctx context.Context, p peer.ID, count int) (members, error) {
	ctx, cancel := context.WithCancel(network.WithNoDial(ctx, "only when told to"))
	defer cancel()
	trips := []float64{}
	results := ping.Ping(ctx, s, p)
	for len(trips) < count {
		result, open := <-results
		if !open {
			return nil, errDisconnected
		}
		if result.Error != nil {
			return nil, result.Error
		}
		trips = append(trips, milliseconds(result.RTT))
	}
	answer := members{"rttMs": trips, "handshakeMs": nil}
	if took, dialled := s.handshake(p); dialled {
		answer["handshakeMs"] = milliseconds(took)
	}
	return answer, nil
}

func milliseconds(d time.Duration) float64 { return d.Seconds() * 1000 }
