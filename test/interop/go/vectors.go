package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"testing/iotest"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
)

// The test vectors, without the allow lists, which are no affair of a peer's.
type vectors struct {
	Frames []struct {
		Name, Hex string
		Limit     int
		Messages  []any
		Fault     *string
	}
	Acks []struct {
		Name, Hex string
		Statuses  []int
		Fault     *string
	}
	Keys []struct{ Type, PrivateKeyHex, PublicKeyHex, PeerID, KeyHash string }
}

func checkVectors(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var all vectors
	if err := json.Unmarshal(text, &all); err != nil {
		return err
	}
	checked, failed := 0, []string{}
	check := func(name string, found, wanted any) {
		checked++
		if !reflect.DeepEqual(found, wanted) {
			failed = append(failed, fmt.Sprintf("%s: %v", name, found))
		}
	}
	for _, v := range all.Frames {
		each(v.Hex, func(from *bufio.Reader) {
			found, fault := readMessages(from, v.Limit)
			check("frames: "+v.Name, []any{found, fault}, []any{v.Messages, name(v.Fault)})
		})
	}
	for _, v := range all.Acks {
		each(v.Hex, func(from *bufio.Reader) {
			found, fault := readStatuses(from)
			check("acks: "+v.Name, []any{found, fault}, []any{v.Statuses, name(v.Fault)})
		})
	}
	for _, v := range all.Keys {
		found, err := keyFacts(v.PrivateKeyHex)
		check("keys: "+v.PeerID, []any{found, err}, []any{[4]string{v.Type, v.PublicKeyHex, v.PeerID, v.KeyHash}, nil})
	}
	if err := json.NewEncoder(os.Stdout).Encode(members{"checked": checked, "failed": failed}); err != nil {
		return err
	}
	if len(failed) > 0 {
		os.Exit(1)
	}
	return nil
}

// each has bytes read whole and one by one.
func each(text string, read func(*bufio.Reader)) {
	raw, err := hex.DecodeString(text)
	if err != nil {
		panic(err)
	}
	read(bufio.NewReader(bytes.NewReader(raw)))
	read(bufio.NewReader(iotest.OneByteReader(bytes.NewReader(raw))))
}

func name(fault *string) string {
	if fault == nil {
		return io.EOF.Error()
	}
	return *fault
}

func readMessages(from *bufio.Reader, limit int) ([]any, string) {
	found := []any{}
	var message bytes.Buffer
	for {
		if err := readFrame(from, limit, &message); err != nil {
			return found, err.Error()
		}
		if message.Len() <= 127 {
			found = append(found, hex.EncodeToString(message.Bytes()))
		} else {
			digest := fmt.Sprintf("%x", sha256.Sum256(message.Bytes()))
			found = append(found, map[string]any{"length": float64(message.Len()), "sha256": digest})
		}
	}
}

func readStatuses(from *bufio.Reader) ([]int, string) {
	found := []int{}
	var ack bytes.Buffer
	for {
		status, err := readAck(from, &ack)
		if err != nil {
			return found, err.Error()
		}
		found = append(found, int(status))
	}
}

// keyFacts returns a private key's type, public key, peer ID and key hash.
func keyFacts(privateKeyHex string) (facts [4]string, err error) {
	raw, err := hex.DecodeString(privateKeyHex)
	if err != nil {
		return facts, err
	}
	key, err := crypto.UnmarshalPrivateKey(raw)
	if err != nil {
		return facts, err
	}
	public, err := crypto.MarshalPublicKey(key.GetPublic())
	if err != nil {
		return facts, err
	}
	id, err := peer.IDFromPublicKey(key.GetPublic())
	if err != nil {
		return facts, err
	}
	hash, err := keyHash(key.GetPublic())
	return [4]string{typeName(key), hex.EncodeToString(public), id.String(), hash}, err
}

func typeName(key crypto.Key) string {
	if key.Type() == crypto.Secp256k1 {
		return "secp256k1"
	}
	return key.Type().String()
}

// keyHash is BitVMX's own name for the owner of a key: the SHA-256 of its SubjectPublicKeyInfo in DER.
func keyHash(key crypto.PubKey) (string, error) {
	standard, err := crypto.PubKeyToStdKey(key)
	if err != nil {
		return "", err
	}
	var der []byte
	if point, ok := standard.(*crypto.Secp256k1PublicKey); ok {
		der, err = secp256k1Info((*secp256k1.PublicKey)(point))
	} else {
		der, err = x509.MarshalPKIXPublicKey(standard)
	}
	if err != nil {
		return "", errors.Join(errors.New("no SubjectPublicKeyInfo"), err)
	}
	return fmt.Sprintf("%x", sha256.Sum256(der)), nil
}

// secp256k1Info is what x509 would give if it knew the curve: the point is written uncompressed.
func secp256k1Info(point *secp256k1.PublicKey) ([]byte, error) {
	type algorithm struct{ Key, Curve asn1.ObjectIdentifier }
	return asn1.Marshal(struct {
		Algorithm algorithm
		Point     asn1.BitString
	}{
		algorithm{asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}, asn1.ObjectIdentifier{1, 3, 132, 0, 10}},
		asn1.BitString{Bytes: point.SerializeUncompressed(), BitLength: 65 * 8},
	})
}
