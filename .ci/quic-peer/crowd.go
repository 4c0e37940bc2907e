// A crowd that never ends its handshakes, and somebody among it who does. Counts Retry packets and bytes.
package main

import (
	"context"
	"net"
	"sync"
	"sync/atomic"

	"github.com/quic-go/quic-go"
)

// Whether a packet of version 1 is a Retry (RFC 9000 section 17.2.5): header protection leaves these bits alone.
func isRetry(packet []byte) bool { return len(packet) > 6 && packet[0]&0xf0 == 0xf0 }

// Hears everything and passes it on, or nothing of it.
type ears struct {
	net.PacketConn
	deaf     bool
	retries  atomic.Int64
	sent     atomic.Int64
	received atomic.Int64
	once     sync.Once
	// Closed with the first Retry.
	asked chan struct{}
}

func (conn *ears) ReadFrom(buffer []byte) (int, net.Addr, error) {
	for {
		n, from, err := conn.PacketConn.ReadFrom(buffer)
		if err != nil {
			return n, from, err
		}
		conn.received.Add(int64(n))
		if isRetry(buffer[:n]) {
			conn.retries.Add(1)
			conn.once.Do(func() { close(conn.asked) })
		}
		if !conn.deaf {
			return n, from, err
		}
	}
}

func (conn *ears) WriteTo(packet []byte, to net.Addr) (int, error) {
	conn.sent.Add(int64(len(packet)))
	return conn.PacketConn.WriteTo(packet, to)
}

func listenOn(deaf bool) *ears {
	return &ears{PacketConn: socket(), deaf: deaf, asked: make(chan struct{})}
}

func crowded(to string) {
	config := clientTLS(*alpn)
	deaf := listenOn(true)
	masses := &quic.Transport{Conn: deaf, ConnectionIDLength: 8}
	for range *crowd {
		go masses.Dial(context.Background(), address(to), config, settings())
	}
	<-deaf.asked
	// In this order: what is sent meanwhile is no answer.
	received := deaf.received.Load()
	say(said{"sent": deaf.sent.Load(), "received": received, "retries": deaf.retries.Load()})
	one := listenOn(false)
	transport := &quic.Transport{Conn: one}
	connection, err := transport.Dial(context.Background(), address(to), config, settings())
	check(err)
	say(said{"retries": one.retries.Load(), "alpn": connection.ConnectionState().TLS.NegotiatedProtocol})
	connection.CloseWithError(0, "")
}
