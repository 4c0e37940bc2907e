// The relay that most Go programs contain: io.Copy both ways, with half-close. Built and started by go.ts.
package main

import (
	"io"
	"log"
	"net"
	"os"
)

func copyAndShut(to, from *net.TCPConn, done chan<- struct{}) {
	io.Copy(to, from)
	to.CloseWrite()
	done <- struct{}{}
}

func relay(client *net.TCPConn, target string) {
	defer client.Close()
	conn, err := net.Dial("tcp", target)
	if err != nil {
		log.Print(err)
		return
	}
	server := conn.(*net.TCPConn)
	defer server.Close()
	done := make(chan struct{}, 2)
	go copyAndShut(server, client, done)
	copyAndShut(client, server, done)
	<-done
	<-done
}

func main() {
	listener, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	for {
		client, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go relay(client.(*net.TCPConn), os.Args[2])
	}
}
