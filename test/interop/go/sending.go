package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

const pieceSize = 64 << 10

// A batch is a number of messages whose bytes follow from their numbers.
type batch struct {
	count, size, window int
	pattern             []byte
}

func newBatch(count, size, window int) batch {
	b := batch{count, size, max(window, 1), make([]byte, size+256)}
	for i := range b.pattern {
		b.pattern[i] = byte(i)
	}
	return b
}

// appendFrame appends the frame of message i.
func (b batch) appendFrame(to []byte, i int) []byte {
	from := i * 7 & 0xff
	to = appendFrame(to, b.pattern[from:from+b.size])
	if b.size >= 4 {
		binary.BigEndian.PutUint32(to[len(to)-b.size:], uint32(i))
	}
	return to
}

// A fate says what became of a batch: how many acks of each status came.
type fate struct {
	acks    [statuses]int
	started time.Time
}

func (f *fate) answered() int {
	return f.acks[accepted] + f.acks[refusedFull] + f.acks[refusedTooLarge]
}

func (f *fate) byStatus() map[int]int {
	counts := map[int]int{}
	for status, count := range f.acks {
		counts[status] = count
	}
	return counts
}

// A longStream is one that serves one batch after the other: that keeps messages in order.
type longStream struct {
	sync.Mutex
	stream network.Stream
}

// use returns the stream, opened anew if it has ended.
func (l *longStream) use(ctx context.Context, n *node, p peer.ID) (network.Stream, error) {
	if l.stream != nil && ended(l.stream) {
		l.drop()
	}
	var err error
	if l.stream == nil {
		l.stream, err = n.openAgreed(ctx, p)
	}
	return l.stream, err
}

func (l *longStream) drop() {
	l.stream.Reset()
	l.stream = nil
}

// ended tells whether the other side has ended a stream on which nothing is to be read but its end.
func ended(s network.Stream) bool {
	s.SetReadDeadline(time.Unix(1, 0))
	defer s.SetReadDeadline(time.Time{})
	_, err := s.Read(make([]byte, 1))
	return !isTimeout(err)
}

// sendLong sends a batch on one stream, with as many messages unanswered as the window allows.
func (l *longStream) sendLong(ctx context.Context, n *node, p peer.ID, b batch) *fate {
	l.Lock()
	defer l.Unlock()
	f := &fate{started: time.Now()}
	s, err := l.use(ctx, n, p)
	if err != nil {
		logger.Println("no stream:", err)
		return f
	}
	window := make(chan struct{}, b.window)
	over := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		// What has been written may be answered still: reading decides when it is over.
		if err := writeMessages(bufio.NewWriterSize(s, pieceSize), b, window, over); err != nil {
			logger.Println("cannot write more:", err)
		}
	})
	if err := f.readAcks(bufio.NewReader(s), b.count, window); err != nil {
		logger.Println("no more acks:", err)
		l.drop()
	}
	close(over)
	writer.Wait()
	return f
}

// writeMessages writes a batch. Messages wait in the buffer until it, or the window, is full.
func writeMessages(to *bufio.Writer, b batch, window chan<- struct{}, over <-chan struct{}) error {
	var frame []byte
	for i := range b.count {
		select {
		case window <- struct{}{}:
		default:
			if err := to.Flush(); err != nil {
				return err
			}
			select {
			case window <- struct{}{}:
			case <-over:
				return nil
			}
		}
		frame = b.appendFrame(frame[:0], i)
		if _, err := to.Write(frame); err != nil {
			return err
		}
	}
	return to.Flush()
}

// readAcks reads an ack for each message. They belong to messages by their order alone.
func (f *fate) readAcks(from *bufio.Reader, count int, window <-chan struct{}) error {
	var ack bytes.Buffer
	for f.answered() < count {
		status, err := readAck(from, &ack)
		if err != nil {
			return err
		}
		f.acks[status]++
		<-window
	}
	return nil
}

// sendSingle sends a batch with a stream for each message, as many at once as the window allows.
func sendSingle(ctx context.Context, n *node, p peer.ID, b batch) *fate {
	f := &fate{started: time.Now()}
	var mu sync.Mutex
	var next atomic.Int64
	var senders sync.WaitGroup
	for range min(b.window, b.count) {
		senders.Go(func() {
			for i := int(next.Add(1)) - 1; i < b.count; i = int(next.Add(1)) - 1 {
				status, err := sendOne(ctx, n, p, b.appendFrame(nil, i))
				if err != nil {
					logger.Printf("no ack for message %d: %v", i, err)
					continue
				}
				mu.Lock()
				f.acks[status]++
				mu.Unlock()
			}
		})
	}
	senders.Wait()
	return f
}

func sendOne(ctx context.Context, n *node, p peer.ID, frame []byte) (byte, error) {
	s, err := n.open(ctx, p, messages)
	if err != nil {
		return 0, err
	}
	// A refusal as too large cuts the writing short, and is there to be read.
	if _, err := s.Write(frame); err != nil {
		logger.Println("cannot write:", err)
	} else if err := s.CloseWrite(); err != nil {
		logger.Println("cannot close:", err)
	}
	var ack bytes.Buffer
	status, err := readAck(bufio.NewReader(s), &ack)
	if err != nil {
		s.Reset()
		return 0, err
	}
	s.Close() // an error here is that of the reset behind a refusal
	return status, nil
}
