// A relay of quic-go: each stream of a QUIC client becomes a TCP connection to the target, as a quic listener of the proxy does
// it. Built by bench/peers/build.ts: quic-relay LISTEN TARGET CERT KEY ALPN

package main

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"os"

	"github.com/quic-go/quic-go"
)

func forward(stream *quic.Stream, target string) {
	tcp, err := net.Dial("tcp", target)
	if err != nil {
		stream.CancelRead(1)
		stream.CancelWrite(1)
		return
	}
	defer tcp.Close()
	go func() {
		io.Copy(tcp, stream)
		tcp.(*net.TCPConn).CloseWrite()
	}()
	io.Copy(stream, tcp)
	stream.Close()
}

func serve(connection *quic.Conn, target string) {
	for {
		stream, err := connection.AcceptStream(context.Background())
		if err != nil {
			return
		}
		go forward(stream, target)
	}
}

func main() {
	listen, target, cert, key, alpn := os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5]
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		log.Fatal(err)
	}
	listener, err := quic.ListenAddr(listen, &tls.Config{
		Certificates: []tls.Certificate{pair},
		NextProtos:   []string{alpn},
	}, nil)
	if err != nil {
		log.Fatal(err)
	}
	for {
		connection, err := listener.Accept(context.Background())
		if err != nil {
			log.Fatal(err)
		}
		go serve(connection, target)
	}
}
