#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes what the search begins with: seeds.py DIR makes DIR/TARGET/NUMBER for each target.

They come from what the repository has already: the lists of malformed requests, configuration files of the tests, the
files of the examples; and some are written here.
"""
import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent
# The files that `plan_of_source` numbers.
PLANNED = re.findall(r'^    "([^"]+)",$', (TOP / "crates/hop3-drivers/src/fuzz.rs").read_text(), re.M)


def malformed(name):
    """The requests, or headers, of one list, as bytes."""
    for line in (TOP / "crates/hop3-proxy/src" / name).read_text().splitlines():
        if line and not line.startswith("#"):
            text = line.split(" ", 1)[1]
            yield re.sub(
                rb"\\(x..|.)",
                lambda m: {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"\\": b"\\"}.get(m[1])
                or bytes([int(m[1][1:], 16)]),
                text.encode(),
            )


def files(pattern, limit=4096):
    return [data for path in sorted(TOP.glob(pattern)) if path.is_file() and len(data := path.read_bytes()) <= limit]


def head(*lines):
    return b"".join(line.encode("latin-1") + b"\r\n" for line in lines) + b"\r\n"


HEADS = [
    head("GET / HTTP/1.1", "Host: a.example.org"),
    head("POST /a?b=c HTTP/1.1", "Host: a:80", "Content-Length: 3", "Cookie: a=b; c=d", "Accept-Encoding: gzip;q=0.5, br"),
    head("PUT /x HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", "Expect: 100-continue", "TE: trailers"),
    head("GET /ws HTTP/1.1", "Host: a", "Connection: Upgrade, X-Hop", "Upgrade: websocket", "X-Hop: 1"),
    head("GET http://a/%5c..%2f HTTP/1.1", "Host: a", "Authorization: Basic YTpi", "X-Forwarded-For: 10.0.0.1"),
    head("OPTIONS * HTTP/1.1", "Host: a", "Traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    head("GET / HTTP/1.0", "Host: a", "Connection: keep-alive", "Referer: /x", "User-Agent: me", "X-Request-Id: 1"),
    head("GET / HTTP/1.1", "Host: a", *["X: 1"] * 99),
]
ANSWERS = [
    head("HTTP/1.1 200 OK", "Content-Length: 5", "Cache-Control: public, max-age=60, s-maxage=5", "Age: 1"),
    head("HTTP/1.1 200 Fine", "Transfer-Encoding: chunked", "Connection: close", "Vary: Accept, Cookie"),
    head("HTTP/1.0 404", "Expires: Mon, 01 Jan 2024 00:01:00 GMT", "Date: Mon, 01 Jan 2024 00:00:00 GMT"),
    head("HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: websocket"),
    head("HTTP/1.1 304 Not Modified", "ETag: W/\"a\"", "Set-Cookie: a=b"),
    head("HTTP/1.1 103 Early Hints", "Link: </a>"),
    head("HTTP/1.0 200 OK", *["X: 1"] * 100),
]
SERVICE = (
    b'{"name":"a","hosts":["a.example.org","*.b.org"],"routes":[{"prefix":"/","target":'
    b'{"upstreams":{"upstreams":[{"id":"a.1","address":{"tcp":"127.0.0.1:1"}}]}}}],'
    b'"mounts":[{"host":"c.org","prefix":"/x"}]}'
)


def seeds():
    requests = HEADS + list(malformed("tests/malformed.txt"))
    bodies = [request.split(b"\r\n\r\n", 1)[1] for request in malformed("tests/malformed-bodies.txt")]
    bodies += [b"5;a=b\r\nhello\r\n0\r\nX-Sum: 1\r\nHost: b\r\n\r\nGET", b"A\r\n0123456789\r\n000\r\n\r\n"]
    yield "request_head", requests
    yield "visit", requests
    yield "request_of_http2", [b"\0GET\nhttps://a/x?y\ncookie: a=b\ncookie: c=d\nx: 1", b"\1OPTIONS\n*\nhost: a\nte: trailers",
                               b"\1POST\nhttps://a:1/\ncontent-length: 3\nhost: b", b"\0CONNECT\na:80\nx:\t1 "]
    heads = [b"\x01\x1a\0\0\x27\x02:protocol\x09websocket\x51\x01/", b"\x01\x02\0\0",
             b"\x01\x15\0\0\xd1\x2f\0\xb9\x5d\x87\x49\xc8\x7a\x3f\x87\xf0\x58\xd0\x72\x75\x2a\x7f"]
    yield "stream_frames", [b"\3\x21\x03abc" + one + b"\0\0\0\x40\x02hi\x01\x02\0\0" for one in heads]
    yield "request_pieces", [b"\x04\x01" + request for request in requests]
    yield "head_edit", [b"/x?y\0cookie\0X-New\0value\0" + one for one in HEADS] + [b"\0X\0X\0\0" + HEADS[1]]
    yield "response_head", [bytes([kind]) + answer for kind in range(16) for answer in ANSWERS]
    yield "auth_answer", [b"\7" + answer + b"hello" for answer in ANSWERS] + [
        b"\6HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"]
    yield "freshness", [b"\0a=b\0" + answer for answer in ANSWERS]
    yield "chunked_body", [b"\x01\x07\x02" + body for body in bodies]
    yield "body_framing", [b"\x03\x04" + body for body in bodies]
    yield "file_path", [b"/a/b.html", b"/%2e%2e/etc", b"/.well-known/acme", b"//a/../b", b"/a%2fb%00", b"/%c3%a9/"]
    yield "condition", [b"\7\3\"a-1\", W/\"b\"\0Wed, 15 Nov 2023 00:00:00 GMT\0\"a-1\"\0bytes=" + spec
                        for spec in (b"0-", b"-5", b"1-2", b"5-1", b"0-1,2-3", b"9999999999999999999-")]
    yield "proxy_header", [one for name in ("headers", "malformed") for one in malformed(f"proxy_protocol/{name}.txt")]
    yield "host", [b"A.example.org:80", b"a.b.", b"[::1]:80", b"*.a.b", b"a.b:80:80", b"xn--a.b"]
    yield "journal", [b'{"generation":0,"services":[' + SERVICE + b"]}\0" + b'{"generation":0}\n{"put":' + SERVICE
                      + b'}\n{"remove":"a"}\n', b'{"services":[]}\0']
    yield "log_line", [b"\5hello\"\\\0w\xc3\xa9\xff\x1b"]
    yield "dns_answer", [b"example.org\0" + bytes.fromhex("000128000000000000000000"),
                         b"example.org\0" + bytes.fromhex("0001a8000001000000000001076578616d706c65036f72670000060001")]
    toml = files("crates/hop3-core/tests/config/*/*.toml") + files("examples/*/*/hop3.toml")
    yield "hop3_toml", toml
    yield "procfile", files("examples/*/*/Procfile") + [b"web: a\ncron: * * * * * x\nstatic: /a:b, c\nrelease: y\n"]
    yield "app_json", files("examples/*/*/app.json") + [
        b'{/* c */"env":{"A":{"value":"1","required":false},"B":{"generator":"secret"}},"formation":{"web":{"quantity":'
        b'2}},"cron":[{"command":"x","schedule":"* * * * *"}],"healthchecks":{"web":[{"path":"/h","attempts":3}]},'
        b'"scripts":{"dokku":{"predeploy":"m"}}} // e'
    ]
    yield "cron_line", [b"*/5 * * * * x", b"0 4 1-7/2 jan,FEB mon-fri y z", b"59 23 31 12 7", b"@daily x", b"5/10 * * * *"]
    yield "name", [b"shop", b"*.example.org", b"example.org/api", b"A_B", b"web-1", b"127.0.0.1", b"a--b"]
    yield "policy_text", [b"10.0.0.0/8", b"2001:db8::/32", b"/a/*\n/a/b", b"https://a.example.org:80/*\n//c", b"header:X-Y", b"2h", b"never",
                          b"$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g"]
    keys = re.findall(rb"^([a-z][a-z-]* = .+)$", b"\n".join(toml), re.M)
    yield "policy_value", [re.sub(rb"\s*=\s*", b"=", key, count=1) for key in keys] + [
        b"sticky=true\1error-pages.404=a.html", b'rate-limits=[{path="/a/*",by="ip",requests=3,per="second"}]',
        b'redirects=[{from="/a/*",to="https://b/*"}]', b"cache.on=true\1cache.max-size=1m", b'headers.set.X-A="b"']
    yield "dotenv", [b"A=1\nexport B='x\ny' # z\nC=\"a\\n\\\"$\"\r\n", b"a'b\r\n\"$`\\", b"\xef\xbb\xbfA=b"]
    yield "archive", [b"\0fxa/b\0\0hello\0lxc\0a/b\0\0dye\0\0\0", b"\0pxpath\0a/../b\0\0fxz\0\0y\0", b"\0Lxn\0\0long/name\0\0fxz\0\0y\0",
                      b"\0gxcomment\0" + b"a" * 40 + b"\0\0fx.git/x\0\0y\0", b"\0pxsize\x000\0\0fxa\0\0bcd\0"]
    zero, one = b"0" * 40, b"a" * 40
    yield "ref_updates", [zero + b" " + one + b" refs/heads/main\n", one + b" " + zero + b" refs/heads/main\n",
                          zero + b" " + one + b" refs/heads/master\n" + zero + b" " + one + b" refs/tags/v1\n"]
    yield "ssh_key", [b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl me@here"]
    yield "ssh_command", [b"git-receive-pack '/shop.git'", b'git upload-pack "shop"', b"git-upload-pack shop.git", b"laptop@home"]
    yield "fetch_url", [b"https://example.org/a.git", b"ssh://git@example.org:22/a", b"http://[::1]:80/", b"git://a/b?c#d"]
    yield "output_lines", [b"\x07plain\n10%\r50%\r\n\r\n", b"\xf1\x1b[31mred\x1b[0m\x1b[2J\x1b]0;t\x07x\n", b"\xf3\x1b(B\x1bP\x1b\\\xc2\x9b31m\xc3\xa9"]
    yield "log_records", [b"\5\x021 web.1 hello\n2 web.1 \xff\n\n3 x\n", b"\1\x011 a b\n"]
    yield "protocol", [b'"hello"', b'{"logs":{"group":"a","last":3}}', b'{"stop":{"ids":["a"]}}', b'{"signal":15}', b'{"ended":{"status":1}}',
                       b'{"instances":[]}', b'{"status":{"group":null}}', b'{"follow":{"group":"a"}}']
    yield "version", [b"^1.2.3 || >=2 <3\n2.5.1", b"~> 3.1\nruby 3.1.2p20", b"1.2 - 2.3\ngo1.22rc1", b">=3.8,<4,!=3.9\n3.10", b"18.x\nv18.1.0"]
    plans = []
    for folder in sorted((TOP / "examples/apps").iterdir()):
        parts = [(number, folder / name) for number, name in enumerate(PLANNED)]
        parts = [bytes([number]) + path.read_bytes()[:2048] for number, path in parts if path.is_file()]
        plans.append(b"\0".join(parts))
    yield "plan_of_source", plans


def main():
    for target, inputs in seeds():
        folder = pathlib.Path(sys.argv[1]) / target
        folder.mkdir(parents=True, exist_ok=True)
        for number, data in enumerate(inputs):
            (folder / str(number)).write_bytes(data)


main()
