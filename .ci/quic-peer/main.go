// A peer of QUIC and HTTP/3 for end-to-end tests, on quic-go. Says what happens as lines of JSON; .ci/run builds it.
//
//	quic-peer serve            echoes streams, as a quic:// target
//	quic-peer echo   ADDRESS   streams of random bytes, which come back as they were
//	quic-peer reset  ADDRESS   one stream, which either side breaks off
//	quic-peer get    ADDRESS   HTTP/3: paths one after the other on one connection
//	quic-peer h3     ADDRESS   HTTP/3: what -do says
//	quic-peer crowd  ADDRESS   handshakes that never end, and then one that does
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/quic-go/quic-go"
)

var (
	alpn     = flag.String("alpn", "quic-proxy", "protocol that is asked for")
	caFile   = flag.String("ca", "", "who is trusted")
	certFile = flag.String("cert", "", "our own certificate")
	keyFile  = flag.String("key", "", "its key")
	name     = flag.String("name", "localhost", "server's name")
	streams  = flag.Int("streams", 1, "streams at once")
	length   = flag.Int("bytes", 1000, "bytes of each stream or body")
	code     = flag.Uint64("code", 0, "of the reset; 0: the other side resets")
	retry    = flag.Bool("retry", false, "every client has to prove its address")
	action   = flag.String("do", "", "of h3")
	crowd    = flag.Int("crowd", 0, "handshakes that never end")
)

// Handshakes of tests on a slow machine.
const patience = time.Minute

var lines = bufio.NewScanner(os.Stdin)

type said map[string]any

func say(what said) {
	text, err := json.Marshal(what)
	check(err)
	fmt.Println(string(text))
}

// Ends the program where something must not fail.
func check(err error) {
	if err != nil {
		say(said{"error": err.Error()})
		os.Exit(1)
	}
}

func pool() *x509.CertPool {
	if *caFile == "" {
		return nil
	}
	text, err := os.ReadFile(*caFile)
	check(err)
	found := x509.NewCertPool()
	found.AppendCertsFromPEM(text)
	return found
}

func identity() []tls.Certificate {
	if *certFile == "" {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(*certFile, *keyFile)
	check(err)
	return []tls.Certificate{pair}
}

func clientTLS(protocol string) *tls.Config {
	return &tls.Config{
		RootCAs:      pool(),
		Certificates: identity(),
		ServerName:   *name,
		NextProtos:   []string{protocol},
	}
}

// Windows that are small, so that streams are held up, and what is on its way fits the kernel's buffer.
func settings() *quic.Config {
	return &quic.Config{
		HandshakeIdleTimeout:           patience,
		MaxIdleTimeout:                 patience,
		InitialStreamReceiveWindow:     16 << 10,
		MaxStreamReceiveWindow:         64 << 10,
		InitialConnectionReceiveWindow: 32 << 10,
		MaxConnectionReceiveWindow:     80 << 10,
		MaxIncomingStreams:             1000,
	}
}

func socket() *net.UDPConn {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	check(err)
	return conn
}

func address(text string) *net.UDPAddr {
	found, err := net.ResolveUDPAddr("udp4", text)
	check(err)
	return found
}

func dial(to string, protocol string) (*quic.Conn, error) {
	transport := &quic.Transport{Conn: socket()}
	return transport.Dial(context.Background(), address(to), clientTLS(protocol), settings())
}

func main() {
	command := os.Args[1]
	check(flag.CommandLine.Parse(os.Args[2:]))
	to := flag.Arg(0)
	switch command {
	case "serve":
		serve()
	case "echo":
		connection, err := dial(to, *alpn)
		check(err)
		check(echoes(connection))
	case "reset":
		reset(to)
	case "get":
		get(to, flag.Args()[1:])
	case "h3":
		h3(to)
	case "crowd":
		crowded(to)
	default:
		check(fmt.Errorf("no command %q", command))
	}
}
