// Streams of QUIC as they are: a server that echoes them, and clients that compare what comes back.
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/quic-go/quic-go"
)

// The first line of a stream that the server is to reset.
const resetMe = "reset\n"

func serve() {
	transport := &quic.Transport{Conn: socket()}
	transport.VerifySourceAddress = func(net.Addr) bool { return *retry }
	config := &tls.Config{Certificates: identity(), NextProtos: []string{*alpn}}
	if authorities := pool(); authorities != nil {
		config.ClientCAs = authorities
		config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	options := settings()
	options.GetConfigForClient = func(info *quic.ClientInfo) (*quic.Config, error) {
		say(said{"client": info.AddrVerified})
		return nil, nil
	}
	listener, err := transport.Listen(config, options)
	check(err)
	say(said{"port": transport.Conn.LocalAddr().(*net.UDPAddr).Port})
	for {
		connection, err := listener.Accept(context.Background())
		check(err)
		peers := []string{}
		for _, each := range connection.ConnectionState().TLS.PeerCertificates {
			peers = append(peers, each.Subject.CommonName)
		}
		say(said{"connection": connection.ConnectionState().TLS.NegotiatedProtocol, "names": peers})
		go serveStreams(connection)
	}
}

func serveStreams(connection *quic.Conn) {
	for {
		stream, err := connection.AcceptStream(context.Background())
		if err != nil {
			say(said{"closed": err.Error()})
			return
		}
		go serveStream(stream)
	}
}

func serveStream(stream *quic.Stream) {
	total := 0
	buffer := make([]byte, 32<<10)
	for {
		n, err := stream.Read(buffer)
		if total == 0 && string(buffer[:n]) == resetMe {
			stream.CancelRead(quic.StreamErrorCode(*code))
			stream.CancelWrite(quic.StreamErrorCode(*code))
			say(said{"stream": "reset by us"})
			return
		}
		total += n
		if n > 0 {
			if _, err := stream.Write(buffer[:n]); err != nil {
				say(said{"stream": "cannot write", "code": codeOf(err)})
				return
			}
		}
		if err == io.EOF {
			say(said{"stream": "end", "bytes": total})
			stream.Close()
			return
		}
		if err != nil {
			stream.CancelWrite(0)
			say(said{"stream": "reset", "code": codeOf(err)})
			return
		}
	}
}

// Of the other side's reset; -1 is something else.
func codeOf(err error) int64 {
	var of *quic.StreamError
	if errors.As(err, &of) && of.Remote {
		return int64(of.ErrorCode)
	}
	return -1
}

func random(size int) []byte {
	found := make([]byte, size)
	_, err := rand.Read(found)
	check(err)
	return found
}

func echoed(connection *quic.Conn) error {
	stream, err := connection.OpenStreamSync(context.Background())
	if err != nil {
		return err
	}
	sent := random(*length)
	go func() {
		if _, err := stream.Write(sent); err == nil {
			stream.Close()
		}
	}()
	hash := sha256.New()
	got, err := io.Copy(hash, stream)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(sent)
	if !bytes.Equal(hash.Sum(nil), sum[:]) {
		return fmt.Errorf("%d bytes came back as %d others", len(sent), got)
	}
	return nil
}

func echoes(connection *quic.Conn) error {
	results := make(chan error, *streams)
	for range *streams {
		go func() { results <- echoed(connection) }()
	}
	var failure error
	whole := 0
	for range *streams {
		if err := <-results; err == nil {
			whole++
		} else {
			failure = err
		}
	}
	tls := connection.ConnectionState().TLS
	if failure != nil {
		say(said{"failure": failure.Error()})
	}
	say(said{"whole": whole, "alpn": tls.NegotiatedProtocol, "names": tls.PeerCertificates[0].DNSNames})
	connection.CloseWithError(0, "")
	return failure
}

// A byte comes back before either side resets; then the stream's end is said.
func reset(to string) {
	connection, err := dial(to, *alpn)
	check(err)
	stream, err := connection.OpenStreamSync(context.Background())
	check(err)
	_, err = stream.Write([]byte("x"))
	check(err)
	one := make([]byte, 1)
	_, err = io.ReadFull(stream, one)
	check(err)
	say(said{"echoed": string(one)})
	if *code != 0 {
		stream.CancelWrite(quic.StreamErrorCode(*code))
	}
	_, err = stream.Read(one)
	say(said{"read": codeOf(err)})
	if *code == 0 {
		<-stream.Context().Done()
		say(said{"written": codeOf(context.Cause(stream.Context()))})
	}
	// The connection outlives it.
	check(echoes(connection))
}
