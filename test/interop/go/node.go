package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/multiformats/go-multiaddr"
	"github.com/multiformats/go-multistream"
)

var errDisconnected = errors.New("the connection has ended")

// A node is a libp2p host that connects only when it is told to.
type node struct {
	host.Host
	mu         sync.Mutex
	handshakes map[peer.ID]time.Duration // of the last dial
}

func newNode(key crypto.PrivKey) (*node, error) {
	h, err := libp2p.New(
		libp2p.Identity(key),
		libp2p.NoListenAddrs,
		libp2p.Transport(tcp.NewTCPTransport),
		libp2p.Security(noise.ID, noise.New),
		libp2p.Muxer(yamux.ID, yamux.DefaultTransport),
		libp2p.DisableRelay(),
		libp2p.DisableMetrics(),
		// The stock limits are 64 incoming streams of a protocol and peer; this protocol promises 128.
		libp2p.ResourceManager(&network.NullResourceManager{}),
	)
	return &node{Host: h, handshakes: map[peer.ID]time.Duration{}}, err
}

// listen returns the addresses with the port and the peer ID filled in.
func (n *node) listen(address string) ([]string, error) {
	at, err := multiaddr.NewMultiaddr(address)
	if err != nil {
		return nil, err
	}
	if err := n.Network().Listen(at); err != nil {
		return nil, err
	}
	var full []string
	for _, a := range n.Network().ListenAddresses() {
		full = append(full, fmt.Sprintf("%s/p2p/%s", a, n.ID()))
	}
	return full, nil
}

// connect dials, unless connected already. That says nothing yet about being admitted.
func (n *node) connect(ctx context.Context, p peer.ID, address string) error {
	at, err := multiaddr.NewMultiaddr(address)
	if err != nil {
		return err
	}
	at, _ = peer.SplitAddr(at)
	if n.connected(p) {
		return nil
	}
	// Otherwise old addresses are tried as well, and after a failure the new one is not tried for a while.
	n.Peerstore().ClearAddrs(p)
	n.Peerstore().AddAddr(p, at, peerstore.TempAddrTTL)
	n.Network().(*swarm.Swarm).Backoff().Clear(p)
	started := time.Now()
	if _, err := n.Network().DialPeer(ctx, p); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.handshakes[p] = time.Since(started)
	return nil
}

// open opens a stream on a connection that exists. Left to itself, libp2p would dial. If the peer is known to speak the
// protocol, the stream can be used, and messages be written, before the peer has agreed.
func (n *node) open(ctx context.Context, p peer.ID, id protocol.ID) (network.Stream, error) {
	return n.NewStream(network.WithNoDial(ctx, "only when told to"), p, id)
}

// openAgreed opens a message stream, and waits until the peer has agreed.
func (n *node) openAgreed(ctx context.Context, p peer.ID) (network.Stream, error) {
	s, err := n.Network().NewStream(network.WithNoDial(ctx, "only when told to"), p)
	if err != nil {
		return nil, err
	}
	if _, err = multistream.SelectOneOf([]protocol.ID{messages}, s); err == nil {
		err = s.SetProtocol(messages)
	}
	if err != nil {
		s.Reset()
		return nil, err
	}
	return s, nil
}

func (n *node) connected(p peer.ID) bool {
	return n.Network().Connectedness(p) == network.Connected
}

// handshake is how long the dial of the connection took, if it was this side that dialled.
func (n *node) handshake(p peer.ID) (time.Duration, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.Network().ConnsToPeer(p) {
		if c.Stat().Direction == network.DirOutbound {
			return n.handshakes[p], true
		}
	}
	return 0, false
}

// untilDisconnected waits until there is no connection to a peer.
func (n *node) untilDisconnected(ctx context.Context, p peer.ID) {
	ctx, cancel := context.WithCancel(ctx)
	watch := &network.NotifyBundle{DisconnectedF: func(_ network.Network, c network.Conn) {
		if c.RemotePeer() == p && !n.connected(p) {
			cancel()
		}
	}}
	n.Network().Notify(watch)
	defer n.Network().StopNotify(watch)
	if n.connected(p) {
		<-ctx.Done()
	}
	cancel()
}
