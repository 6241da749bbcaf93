// Peer is the Go reference peer: commands as JSON lines on standard input, answers on standard output.
//
//	peer --key HEX
//	peer vectors FILE
package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log"
	"os"
	"runtime/debug"
	"sync"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
)

const maxLine = 1 << 20

var logger = log.New(os.Stderr, "", log.Lmicroseconds)

func main() {
	var err error
	switch arguments := os.Args[1:]; {
	case len(arguments) == 2 && arguments[0] == "--key":
		err = serve(arguments[1])
	case len(arguments) == 2 && arguments[0] == "vectors":
		err = checkVectors(arguments[1])
	default:
		err = errors.New("usage: peer --key HEX | peer vectors FILE")
	}
	if err != nil {
		logger.Fatalln(err)
	}
}

// serve carries out every command in a goroutine of its own, until the input ends or says so.
func serve(keyHex string) error {
	bytes, err := hex.DecodeString(keyHex)
	if err != nil {
		return err
	}
	key, err := crypto.UnmarshalPrivateKey(bytes)
	if err != nil {
		return err
	}
	n, err := newNode(key)
	if err != nil {
		return err
	}
	defer n.Close()
	s := &session{node: n, inbox: newInbox(), long: map[peer.ID]*longStream{}}
	n.SetStreamHandler(messages, s.inbox.serve)

	var mu sync.Mutex
	answers := json.NewEncoder(os.Stdout)
	say := func(m members) {
		mu.Lock()
		defer mu.Unlock()
		answers.Encode(m)
	}
	say(members{
		"event":          "ready",
		"peerId":         n.ID().String(),
		"implementation": implementation(),
		"modes":          []string{"single", "long"},
	})
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var c command
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			say(members{"id": c.ID, "ok": false, "error": err.Error()})
			continue
		}
		if c.Command == "quit" {
			say(members{"id": c.ID, "ok": true})
			return nil
		}
		go func() {
			answer, err := s.run(context.Background(), c)
			if err != nil {
				answer = members{"error": err.Error()}
			}
			answer["id"], answer["ok"] = c.ID, err == nil
			say(answer)
		}()
	}
	return lines.Err()
}

// implementation is the version of go-libp2p that was built in.
func implementation() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range info.Deps {
			if module.Path == "github.com/libp2p/go-libp2p" {
				return "go-libp2p " + module.Version
			}
		}
	}
	return "go-libp2p of an unknown version"
}
