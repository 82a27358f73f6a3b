// SPDX-License-Identifier: Apache-2.0

// Package hop3 is what Traefik has no words for: each request has an id, and no header of a visitor says what only a
// proxy may say. Traefik interprets it; nothing is compiled.
package hop3

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"
	"time"
)

const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:/+=-"

// Told by Traefik itself, which has left out what the visitor said.
var told = map[string]bool{
	"X-Forwarded-For":   true,
	"X-Forwarded-Host":  true,
	"X-Forwarded-Port":  true,
	"X-Forwarded-Proto": true,
}

var forbidden = []string{"Forwarded", "X-Real-Ip", "Proxy", "Client-Cert", "Client-Cert-Chain", "Http2-Settings"}

// Config says where the proxy behind listens, for what is passed on: Traefik by itself opens no Unix socket.
type Config struct {
	Behind string `json:"behind,omitempty"`
}

// CreateConfig is asked for by Traefik.
func CreateConfig() *Config { return &Config{} }

// New stands before each service, or in the place of one.
func New(_ context.Context, next http.Handler, config *Config, _ string) (http.Handler, error) {
	if config.Behind != "" {
		next = behind(config.Behind)
	}
	return http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		tidy(request.Header)
		next.ServeHTTP(answer, request)
	}), nil
}

// One for all routes and configurations, so that its connections are kept.
var (
	lock    sync.Mutex
	proxies = map[string]http.Handler{}
)

func behind(socket string) http.Handler {
	lock.Lock()
	defer lock.Unlock()
	if proxies[socket] == nil {
		dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{Timeout: 2 * time.Second}).DialContext(ctx, network(socket), socket)
		}
		proxies[socket] = &httputil.ReverseProxy{
			Director:      direct,
			FlushInterval: -1,
			Transport: &http.Transport{
				DialContext:         dial,
				DisableCompression:  true,
				IdleConnTimeout:     4 * time.Second,
				MaxIdleConnsPerHost: 64,
			},
		}
	}
	return proxies[socket]
}

func network(address string) string {
	if strings.HasPrefix(address, "/") {
		return "unix"
	}
	return "tcp"
}

// It names the visitor by itself.
func direct(request *http.Request) {
	request.URL.Scheme = "http"
	request.URL.Host = "behind"
	if _, ok := request.Header["User-Agent"]; !ok {
		request.Header["User-Agent"] = nil
	}
}

func tidy(header http.Header) {
	for name := range header {
		isForwarded := strings.HasPrefix(name, "X-Forwarded-")
		// Many apps read `_` and `-` as the same.
		if isForwarded && !told[name] || strings.Contains(name, "_") {
			delete(header, name)
		}
	}
	for _, name := range forbidden {
		delete(header, name)
	}
	if strings.Contains(strings.ToLower(header.Get("Upgrade")), "h2c") {
		delete(header, "Upgrade")
		delete(header, "Connection")
	}
	if !isGood(header["X-Request-Id"]) {
		own := make([]byte, 16)
		rand.Read(own)
		header["X-Request-Id"] = []string{hex.EncodeToString(own)}
	}
}

func isGood(ids []string) bool {
	return len(ids) == 1 && len(ids[0]) > 0 && len(ids[0]) <= 128 && isPlain(ids[0])
}

func isPlain(id string) bool {
	return strings.IndexFunc(id, func(sign rune) bool { return !strings.ContainsRune(plain, sign) }) < 0
}
