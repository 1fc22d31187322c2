// Command go_verify reads a ledger with the libraries of the Go and transparency communities, and nothing of
// ours: checkpoint and cosignature (sumdb/note, transparency-dev/formats), tiles (sumdb/tlog), one receipt's
// proof (transparency-dev/merkle). It prints one line for each thing that holds and exits 1 at the first that
// does not.
//
//	go_verify LEDGER LOG_VKEY WITNESS_VKEY PROOF KERNEL_KEY
package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	fnote "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func check(err error, what string) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", what, err)
		os.Exit(1)
	}
}

func fail(what string) { check(fmt.Errorf("does not hold"), what) }

// tiles reads hash tiles from a folder, in the layout of c2sp.org/tlog-tiles.
type tiles struct{ root string }

func (tiles) Height() int                         { return 8 }
func (tiles) SaveTiles(_ []tlog.Tile, _ [][]byte) {}
func (t tiles) ReadTiles(all []tlog.Tile) ([][]byte, error) {
	var out [][]byte
	for _, tile := range all {
		// sumdb has a height in its paths, tlog-tiles does not.
		name := strings.TrimPrefix(tile.Path(), "tile/8/")
		data, err := os.ReadFile(filepath.Join(t.root, "tile", name))
		if err != nil {
			return nil, err
		}
		out = append(out, data)
	}
	return out, nil
}

// entries reads every entry from its bundle.
func entries(root string, size int64) ([][]byte, error) {
	var out [][]byte
	for n := int64(0); n*256 < size; n++ {
		tile := tlog.Tile{H: 8, L: 0, N: n, W: int(min(256, size-n*256))}
		name := strings.TrimPrefix(tile.Path(), "tile/8/0/")
		data, err := os.ReadFile(filepath.Join(root, "tile", "entries", name))
		if err != nil {
			return nil, err
		}
		for len(data) > 0 {
			length := int(binary.BigEndian.Uint16(data))
			out = append(out, data[2:2+length])
			data = data[2+length:]
		}
	}
	return out, nil
}

type checkpoint struct {
	origin string
	size   uint64
	root   []byte
}

func open(text []byte, verifiers ...note.Verifier) (checkpoint, int) {
	signed, err := note.Open(text, note.VerifierList(verifiers...))
	check(err, "checkpoint")
	lines := strings.Split(signed.Text, "\n")
	size, err := strconv.ParseUint(lines[1], 10, 63)
	check(err, "tree size")
	root, err := base64.StdEncoding.DecodeString(lines[2])
	check(err, "root hash")
	return checkpoint{lines[0], size, root}, len(signed.Sigs)
}

func main() {
	folder, logKey, witnessKey, proofFile, kernelKey := os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5]
	log, err := note.NewVerifier(logKey)
	check(err, "log key")
	witness, err := fnote.NewVerifierForCosignatureV1(witnessKey)
	check(err, "witness key")

	text, err := os.ReadFile(filepath.Join(folder, "checkpoint"))
	check(err, "read checkpoint")
	tree, _ := open(text, log)
	fmt.Printf("checkpoint %d\n", tree.size)

	var root tlog.Hash
	copy(root[:], tree.root)
	reader := tlog.TileHashReader(tlog.Tree{N: int64(tree.size), Hash: root}, tiles{folder})
	all, err := entries(folder, int64(tree.size))
	check(err, "entries")
	var indexes []int64
	for n := range all {
		indexes = append(indexes, tlog.StoredHashIndex(0, int64(n)))
	}
	hashes, err := reader.ReadHashes(indexes)
	check(err, "tiles")
	for n, entry := range all {
		if tlog.RecordHash(entry) != hashes[n] {
			fail(fmt.Sprintf("entry %d", n))
		}
	}
	fmt.Printf("entries %d\n", len(all))

	data, err := os.ReadFile(proofFile)
	check(err, "read proof")
	head, signed, found := bytes.Cut(data, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	if !found || lines[0] != "c2sp.org/tlog-proof@v1" {
		fail("proof")
	}
	envelope, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra "))
	check(err, "envelope")
	index, err := strconv.ParseUint(strings.TrimPrefix(lines[2], "index "), 10, 63)
	check(err, "index")
	var path [][]byte
	for _, line := range lines[3:] {
		hash, err := base64.StdEncoding.DecodeString(line)
		check(err, "hash")
		path = append(path, hash)
	}
	seen, signatures := open(signed, log, witness)
	leaf := rfc6962.DefaultHasher.HashLeaf(envelope)
	check(proof.VerifyInclusion(rfc6962.DefaultHasher, index, seen.size, leaf, path, seen.root), "inclusion")
	fmt.Printf("inclusion %d of %d, %d signatures\n", index, seen.size, signatures)

	older, err := tlog.ProveTree(int64(tree.size), int64(seen.size), reader)
	check(err, "consistency")
	var consistency [][]byte
	for _, hash := range older {
		consistency = append(consistency, hash[:])
	}
	check(proof.VerifyConsistency(
		rfc6962.DefaultHasher, seen.size, tree.size, consistency, seen.root, tree.root), "consistency")
	fmt.Printf("consistency %d to %d\n", seen.size, tree.size)

	var dsse struct {
		PayloadType string
		Payload     []byte
		Signatures  []struct{ Sig []byte }
	}
	check(json.Unmarshal(envelope, &dsse), "envelope")
	kernel, err := base64.StdEncoding.DecodeString(kernelKey)
	check(err, "kernel key")
	pae := fmt.Sprintf("DSSEv1 %d %s %d %s", len(dsse.PayloadType), dsse.PayloadType, len(dsse.Payload), dsse.Payload)
	if len(dsse.Signatures) != 1 || !ed25519.Verify(kernel, []byte(pae), dsse.Signatures[0].Sig) {
		fail("signature")
	}
	fmt.Println("signature")
}
