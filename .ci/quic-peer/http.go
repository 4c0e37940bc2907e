// HTTP/3 by quic-go's client, on one connection.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

func link(path string) string { return "https://" + *name + path }

func request(method string, path string, body io.Reader) *http.Request {
	asked, err := http.NewRequest(method, link(path), body)
	check(err)
	return asked
}

func open(to string) (*quic.Conn, *http3.ClientConn) {
	connection, err := dial(to, http3.NextProtoH3)
	check(err)
	return connection, (&http3.Transport{DisableCompression: true}).NewClientConn(connection)
}

func tellAnswer(connection *quic.Conn, answer *http.Response) {
	body, err := io.ReadAll(answer.Body)
	check(err)
	names := connection.ConnectionState().TLS.PeerCertificates[0].DNSNames
	say(said{"status": answer.StatusCode, "body": string(body), "trailers": answer.Trailer, "names": names})
}

// A path "-" is a wait for a line of the standard input.
func get(to string, paths []string) {
	connection, client := open(to)
	for _, path := range paths {
		if path == "-" {
			lines.Scan()
			continue
		}
		answer, err := client.RoundTrip(request("GET", path, nil))
		check(err)
		tellAnswer(connection, answer)
	}
	connection.CloseWithError(0x100, "")
}

func h3(to string) {
	if *action == "early" {
		early(to)
		return
	}
	connection, client := open(to)
	switch *action {
	case "trailers":
		trailers(connection, client)
	case "cancel":
		cancel(client)
	case "break":
		breakOff(client)
	case "large":
		large(client)
	case "websocket":
		webSocket(client)
		connection.CloseWithError(0x100, "")
		return
	default:
		check(fmt.Errorf("no action %q", *action))
	}
	answer, err := client.RoundTrip(request("GET", "/after", nil))
	check(err)
	tellAnswer(connection, answer)
	connection.CloseWithError(0x100, "")
}

// Both ways.
func trailers(connection *quic.Conn, client *http3.ClientConn) {
	asked := request("POST", "/trailers", io.NopCloser(strings.NewReader("a body")))
	asked.Trailer = http.Header{"X-Sum": {"abc"}}
	answer, err := client.RoundTrip(asked)
	check(err)
	tellAnswer(connection, answer)
}

// Reads the beginning of an answer without an end, and no more (STOP_SENDING).
func cancel(client *http3.ClientConn) {
	context, stop := context.WithCancel(context.Background())
	answer, err := client.RoundTrip(request("GET", "/endless", nil).WithContext(context))
	check(err)
	first := make([]byte, 5)
	_, err = io.ReadFull(answer.Body, first)
	check(err)
	say(said{"first": string(first)})
	stop()
	_, err = io.Copy(io.Discard, answer.Body)
	say(said{"cancelled": err != nil})
	lines.Scan()
}

// Begins a body and breaks it off (RESET_STREAM).
func breakOff(client *http3.ClientConn) {
	stream, err := client.OpenRequestStream(context.Background())
	check(err)
	check(stream.SendRequestHeader(request("POST", "/unfinished", http.NoBody)))
	_, err = stream.Write([]byte("begun"))
	check(err)
	lines.Scan()
	stream.CancelWrite(quic.StreamErrorCode(http3.ErrCodeRequestCanceled))
	stream.CancelRead(quic.StreamErrorCode(http3.ErrCodeRequestCanceled))
	lines.Scan()
}

func large(client *http3.ClientConn) {
	sent := random(*length)
	answer, err := client.RoundTrip(request("POST", "/echo", bytes.NewReader(sent)))
	check(err)
	hash := sha256.New()
	got, err := io.Copy(hash, answer.Body)
	check(err)
	sum := sha256.Sum256(sent)
	say(said{"bytes": got, "same": bytes.Equal(hash.Sum(nil), sum[:])})
}

// RFC 9220: a text frame of WebSocket (RFC 6455 section 5), masked with zeros, there and back.
func webSocket(client *http3.ClientConn) {
	<-client.ReceivedSettings()
	say(said{"extended": client.Settings().EnableExtendedConnect})
	stream, err := client.OpenRequestStream(context.Background())
	check(err)
	where, err := url.Parse(link("/socket"))
	check(err)
	asked := &http.Request{
		Method: http.MethodConnect,
		Proto:  "websocket",
		Host:   *name,
		URL:    where,
		Header: http.Header{"Sec-Websocket-Version": {"13"}},
	}
	check(stream.SendRequestHeader(asked))
	answer, err := stream.ReadResponse()
	check(err)
	_, err = stream.Write(append([]byte{0x81, 0x85, 0, 0, 0, 0}, "hello"...))
	check(err)
	frame := make([]byte, 7)
	_, err = io.ReadFull(stream, frame)
	check(err)
	say(said{"status": answer.StatusCode, "opcode": frame[0] & 0xf, "text": string(frame[2:])})
	stream.CancelRead(quic.StreamErrorCode(http3.ErrCodeNoError))
	stream.Close()
}

// The second connection resumes the first one's session, and asks before its handshake is over.
func early(to string) {
	config := clientTLS(http3.NextProtoH3)
	tickets := make(chan struct{}, 16)
	config.ClientSessionCache = noted{tls.NewLRUClientSessionCache(8), tickets}
	transport := &quic.Transport{Conn: socket()}
	for i := range 2 {
		connection, err := transport.DialEarly(context.Background(), address(to), config, settings())
		check(err)
		client := (&http3.Transport{DisableCompression: true}).NewClientConn(connection)
		method := "GET"
		if i > 0 {
			method = http3.MethodGet0RTT
		}
		answer, err := client.RoundTrip(request(method, "/early", nil))
		if errors.Is(err, quic.Err0RTTRejected) {
			say(said{"rejected": true})
			return
		}
		check(err)
		body, err := io.ReadAll(answer.Body)
		check(err)
		<-connection.HandshakeComplete()
		say(said{"used": connection.ConnectionState().Used0RTT, "status": answer.StatusCode, "body": string(body)})
		if i == 0 {
			<-tickets
		}
		connection.CloseWithError(0x100, "")
	}
}

// Says when there is a ticket.
type noted struct {
	tls.ClientSessionCache
	put chan struct{}
}

func (cache noted) Put(key string, state *tls.ClientSessionState) {
	cache.ClientSessionCache.Put(key, state)
	if state != nil {
		select {
		case cache.put <- struct{}{}:
		default:
		}
	}
}
