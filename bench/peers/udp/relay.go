// The relay of datagrams that most Go programs contain: a connected socket for each client's address, and a goroutine that copies
// its answers back. Built and started by go.ts.
package main

import (
	"log"
	"net"
	"net/netip"
	"os"
)

const maxBytes = 65536

func answer(listener *net.UDPConn, client netip.AddrPort, server *net.UDPConn) {
	buffer := make([]byte, maxBytes)
	for {
		n, err := server.Read(buffer)
		if err != nil {
			continue // ICMP
		}
		listener.WriteToUDPAddrPort(buffer[:n], client)
	}
}

func main() {
	local, err := net.ResolveUDPAddr("udp4", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	target, err := net.ResolveUDPAddr("udp4", os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.ListenUDP("udp4", local)
	if err != nil {
		log.Fatal(err)
	}
	sessions := map[netip.AddrPort]*net.UDPConn{}
	buffer := make([]byte, maxBytes)
	for {
		n, client, err := listener.ReadFromUDPAddrPort(buffer)
		if err != nil {
			continue
		}
		server, ok := sessions[client]
		if !ok {
			if server, err = net.DialUDP("udp4", nil, target); err != nil {
				log.Fatal(err)
			}
			sessions[client] = server
			go answer(listener, client, server)
		}
		server.Write(buffer[:n])
	}
}
