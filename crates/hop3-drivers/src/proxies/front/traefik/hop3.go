// SPDX-License-Identifier: Apache-2.0

// Package hop3 is what Traefik has no words for: each request has an id, and no header of a visitor says what only a
// proxy may say. Traefik interprets it; nothing is compiled.
package hop3

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"strings"
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

// Config has nothing to say.
type Config struct{}

// CreateConfig is asked for by Traefik.
func CreateConfig() *Config { return &Config{} }

// New stands before each service.
func New(_ context.Context, next http.Handler, _ *Config, _ string) (http.Handler, error) {
	return http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		tidy(request.Header)
		next.ServeHTTP(answer, request)
	}), nil
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
