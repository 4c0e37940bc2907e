// A client of quic-go, the same for all relays of raw QUIC. Built by bench/peers/build.ts; prints one JSON line.
//   quic-load bulk ADDRESS ALPN WARM_MS RUN_MS PATH BYTES   one stream, on which a backend of HTTP/1.1 is asked for PATH
//   quic-load handshakes ADDRESS ALPN WARM_MS RUN_MS COUNT  so many connections at once, made and closed again and again

package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
)

func number(i int) int {
	value, err := strconv.Atoi(os.Args[i])
	if err != nil {
		log.Fatal(err)
	}
	return value
}

// The interval that counts begins after the warm-up.
func interval() (time.Time, time.Time) {
	start := time.Now().Add(time.Duration(number(4)) * time.Millisecond)
	return start, start.Add(time.Duration(number(5)) * time.Millisecond)
}

func tell(count int64, elapsed time.Duration) {
	fmt.Printf("{\"count\":%d,\"elapsedMs\":%f}\n", count, float64(elapsed.Microseconds())/1000)
}

func bulk(transport *quic.Transport, address net.Addr, config *tls.Config) {
	connection, err := transport.Dial(context.Background(), address, config, nil)
	if err != nil {
		log.Fatal(err)
	}
	stream, err := connection.OpenStreamSync(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	// Two questions are ahead of the answers at any time, so that the backend never waits for one.
	question := []byte("GET " + os.Args[6] + " HTTP/1.1\r\nHost: bench\r\n\r\n")
	size := int64(number(7))
	ask := func() {
		if _, err := stream.Write(question); err != nil {
			log.Fatal(err)
		}
	}
	ask()
	ask()
	start, end := interval()
	buffer := make([]byte, 256*1024)
	var all, counted int64
	asked := int64(2)
	var first time.Time
	for {
		n, err := stream.Read(buffer)
		if err != nil && err != io.EOF {
			log.Fatal(err)
		}
		if err == io.EOF {
			log.Fatal("the stream ended")
		}
		now := time.Now()
		all += int64(n)
		for all/size+2 > asked {
			ask()
			asked++
		}
		if now.Before(start) {
			continue
		}
		if first.IsZero() {
			first = now
			continue
		}
		counted += int64(n)
		if now.After(end) {
			tell(counted, now.Sub(first))
			connection.CloseWithError(0, "")
			return
		}
	}
}

func handshakes(transport *quic.Transport, address net.Addr, config *tls.Config) {
	start, end := interval()
	var done atomic.Int64
	var group sync.WaitGroup
	for i := 0; i < number(6); i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for time.Now().Before(end) {
				connection, err := transport.Dial(context.Background(), address, config, nil)
				if err != nil {
					log.Fatal(err)
				}
				now := time.Now()
				if now.After(start) && now.Before(end) {
					done.Add(1)
				}
				connection.CloseWithError(0, "")
			}
		}()
	}
	group.Wait()
	tell(done.Load(), end.Sub(start))
}

func main() {
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		log.Fatal(err)
	}
	address, err := net.ResolveUDPAddr("udp", os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	config := &tls.Config{
		InsecureSkipVerify: true,
		NextProtos:         []string{os.Args[3]},
		// With a post-quantum key share the hello takes two packets, which @matrixai/quic takes for two clients.
		CurvePreferences: []tls.CurveID{tls.X25519},
	}
	transport := &quic.Transport{Conn: socket}
	if os.Args[1] == "bulk" {
		bulk(transport, address, config)
	} else {
		handshakes(transport, address, config)
	}
	// What the relay still answers must find somebody: @matrixai/quic ends when nobody is there (ICMP).
	time.Sleep(200 * time.Millisecond)
	transport.Close()
}
