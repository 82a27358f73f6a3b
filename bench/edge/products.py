# SPDX-License-Identifier: Apache-2.0
"""The products that are compared: how each is configured, started and told another route.

Every one has one worker on one core, keep-alive to the upstream, Host kept, X-Forwarded-For and -Proto set, an access
log, and HOSTS names `h0.example.test`... that lead to the upstream; `files.example.test` is a directory.
"""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import urllib.request

from measuring import PRODUCT_CORE, pinned, until

FILES_HOST = "files.example.test"


def host(number):
    return f"h{number}.example.test"


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


class Product:
    """One proxy in a directory of its own."""

    name = ""
    serves_files = True
    has_routes = True
    speaks_tls = True

    def __init__(self, room, upstreams, hosts, site):
        self.room = pathlib.Path(room) / self.name
        self.room.mkdir()
        self.upstreams, self.hosts, self.site = upstreams, hosts, site
        self.port, self.tls_port, self.extra_port = free_ports(3)
        # The directory of chain.pem, key.pem and both.pem, in the cases that need one.
        self.certificate = None
        self.process = None

    def configure(self):
        pass

    def command(self):
        raise NotImplementedError

    def environment(self):
        return {}

    def start(self, core=PRODUCT_CORE):
        self.configure()
        output = open(self.room / "output", "w")
        environment = {**os.environ, **self.environment()}
        self.process = pinned(core, *self.command(), stdout=output, stderr=output, env=environment)
        output.close()
        until(lambda: self.process.poll() is not None or answers(self.port))
        if self.process.poll() is not None:
            raise SystemExit(f"{self.name} ended: {(self.room / 'output').read_text()[-2000:]}")
        self.started()

    def started(self):
        pass

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def move(self, number, upstream):
        """Routes one host to upstream 0 or 1. Returns when the product says that it did."""
        raise NotImplementedError


class Hop3(Product):
    name = "hop3"

    def __init__(self, program, *place):
        super().__init__(*place)
        self.program = program
        self.control = None

    def command(self):
        https = ["--https", f"127.0.0.1:{self.tls_port}"] if self.certificate else []
        return [self.program, "proxy", "--root", self.room, "--http", f"127.0.0.1:{self.port}", *https]

    def configure(self):
        if self.certificate:
            self.keep("_.example.test")

    def keep(self, name):
        """Puts a certificate into the store before the proxy starts."""
        place = self.room / "certs" / name
        place.mkdir(parents=True, mode=0o700)
        for file in ("chain.pem", "key.pem"):
            shutil.copy(self.certificate / file, place)
            (place / file).chmod(0o600)
        (place / "origin.json").write_text('"own"')

    def started(self):
        path = self.room / "run/proxy/control.sock"
        until(path.exists)
        self.control = socket.socket(socket.AF_UNIX)
        self.control.connect(str(path))
        services = [self.service(number, 0) for number in range(self.hosts)]
        route = {"prefix": "/", "target": {"static": {"root": str(self.site)}}}
        services.append({"name": "files", "hosts": [FILES_HOST], "routes": [route]})
        self.tell({"replace": {"table": {"services": services}}})

    def service(self, number, upstream):
        address = {"tcp": f"127.0.0.1:{self.upstreams[upstream]}"}
        pool = {"upstreams": [{"id": f"u{upstream}", "address": address}]}
        route = {"prefix": "/", "target": {"upstreams": pool}}
        # wrk names no host in its handshakes, and plain cases shall not be redirected.
        tls = {"https": "both", "for-unnamed": number == 0}
        return {"name": f"s{number}", "hosts": [host(number)], "routes": [route], "tls": tls}

    def tell(self, request):
        self.control.sendall(json.dumps(request).encode() + b"\n")
        answer = b""
        while not answer.endswith(b"\n"):
            answer += self.control.recv(65536)
        if json.loads(answer) != "done":
            raise SystemExit(f"hop3 refuses: {answer}")

    def move(self, number, upstream):
        self.tell({"put": {"service": self.service(number, upstream)}})


class Epoll(Hop3):
    """Hop3 without io_uring."""

    name = "epoll"

    def environment(self):
        return {"HOP3_PROXY_IO": "epoll"}


class Nginx(Product):
    name = "nginx"
    moved = (None, 0)

    def configure(self):
        number, to = self.moved
        secure = f"listen 127.0.0.1:{self.tls_port} ssl http2;" if self.certificate else ""
        pair = f"ssl_certificate {self.certificate}/chain.pem; ssl_certificate_key {self.certificate}/key.pem;"
        servers = "\n".join(
            f"server {{ listen 127.0.0.1:{self.port}; {secure} server_name {host(i)};"
            f" location / {{ proxy_pass http://u{to if i == number else 0}; }} }}"
            for i in range(self.hosts)
        )
        upstreams = "\n".join(
            f"upstream u{i} {{ server 127.0.0.1:{port}; keepalive 1024; keepalive_requests 100000000; }}"
            for i, port in enumerate(self.upstreams)
        )
        user = "user root;" if os.geteuid() == 0 else ""
        (self.room / "nginx.conf").write_text(f"""
daemon off; worker_processes 1; {user} pid {self.room}/pid; error_log {self.room}/error warn;
events {{ worker_connections 19900; }}
http {{
  include /etc/nginx/mime.types;
  access_log {self.room}/access combined; server_tokens off; tcp_nodelay on; sendfile on; tcp_nopush on;
  server_names_hash_max_size 65536; server_names_hash_bucket_size 128;
  keepalive_requests 100000000; keepalive_timeout 600s; client_max_body_size 0;
  client_body_temp_path {self.room}/t1; proxy_temp_path {self.room}/t2; fastcgi_temp_path {self.room}/t3;
  uwsgi_temp_path {self.room}/t4; scgi_temp_path {self.room}/t5; proxy_max_temp_file_size 0;
  proxy_http_version 1.1; proxy_set_header Host $host; proxy_set_header X-Forwarded-For $remote_addr;
  proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header Upgrade $http_upgrade;
  map $http_upgrade $up {{ default upgrade; "" ""; }}  proxy_set_header Connection $up;
  {pair if self.certificate else ""} ssl_protocols TLSv1.2 TLSv1.3; ssl_session_cache shared:s:10m;
  {upstreams}
  server {{ listen 127.0.0.1:{self.port} reuseport backlog=4096; server_name {FILES_HOST}; root {self.site}; }}
  {servers}
}}
""")

    def command(self):
        return ["nginx", "-e", self.room / "error", "-c", self.room / "nginx.conf"]

    def move(self, number, upstream):
        self.moved = (number, upstream)
        self.configure()
        self.process.send_signal(signal.SIGHUP)


class Haproxy(Product):
    name = "haproxy"
    serves_files = False

    def configure(self):
        self.map = self.room / "hosts.map"
        self.map.write_text("".join(f"{host(i)} u0\n" for i in range(self.hosts)))
        backends = "\n".join(
            f"backend u{i}\n  server s 127.0.0.1:{port} pool-max-conn -1" for i, port in enumerate(self.upstreams)
        )
        secure = ""
        if self.certificate:
            secure = f"bind 127.0.0.1:{self.tls_port} ssl crt {self.certificate}/both.pem alpn h2,http/1.1"
        (self.room / "haproxy.cfg").write_text(f"""
global
  maxconn 9900
  maxpipes 50
  nbthread 1
  log stdout format raw local0
  stats socket {self.room}/control level admin
defaults
  mode http
  log global
  option httplog
  timeout client 600s
  timeout server 600s
  timeout tunnel 600s
  timeout connect 5s
  option splice-auto
  http-reuse always
frontend f
  bind 127.0.0.1:{self.port} backlog 4096
  {secure}
  http-request set-header X-Forwarded-For %[src]
  http-request set-header X-Forwarded-Proto http
  use_backend %[req.hdr(host),field(1,:),lower,map({self.map})]
{backends}
""")

    def command(self):
        return ["haproxy", "-db", "-f", self.room / "haproxy.cfg"]

    def move(self, number, upstream):
        with socket.socket(socket.AF_UNIX) as control:
            control.connect(str(self.room / "control"))
            control.sendall(f"set map {self.map} {host(number)} u{upstream}\n".encode())
            while control.recv(4096):
                pass


class Caddy(Product):
    """One route with a list of hosts, which Caddy looks up in a map; a route for each host it would try in turn."""

    name = "caddy"

    def __init__(self, program, *place):
        super().__init__(*place)
        self.program = program

    def proxy(self, upstream):
        kept = {"protocol": "http", "keep_alive": {"max_idle_conns_per_host": 1024, "idle_timeout": "600s"}}
        dial = [{"dial": f"127.0.0.1:{self.upstreams[upstream]}"}]
        return [{"handler": "reverse_proxy", "upstreams": dial, "transport": kept}]

    def route(self, upstream):
        last = [host(self.hosts - 1)]
        return {"@id": "last", "match": [{"host": last}], "handle": self.proxy(upstream), "terminal": True}

    def configure(self):
        many = {"match": [{"host": [host(i) for i in range(self.hosts)]}], "handle": self.proxy(0), "terminal": True}
        files = {"handler": "file_server", "root": str(self.site)}
        routes = [self.route(0), {"match": [{"host": [FILES_HOST]}], "handle": [files], "terminal": True}, many]
        server = {
            "listen": [f"127.0.0.1:{self.port}"],
            "automatic_https": {"disable": True},
            "protocols": ["h1"],
            "routes": routes,
            "logs": {"default_logger_name": "access"},
        }
        writer = {"output": "file", "filename": str(self.room / "access"), "roll": False}
        config = {
            "admin": {"listen": f"127.0.0.1:{self.extra_port}"},
            "logging": {
                "logs": {
                    "default": {"level": "ERROR"},
                    "access": {"writer": writer, "include": ["http.log.access.access"]},
                }
            },
            "apps": {"http": {"servers": {"s": server}}},
        }
        if self.certificate:
            names = {"default_sni": host(0), "fallback_sni": host(0)}
            listen = {"listen": [f"127.0.0.1:{self.tls_port}"], "protocols": ["h1", "h2"], "tls_connection_policies": [names]}
            routes = [{key: value for key, value in route.items() if key != "@id"} for route in routes]
            config["apps"]["http"]["servers"]["t"] = {**server, **listen, "routes": routes}
            pair = {"certificate": f"{self.certificate}/chain.pem", "key": f"{self.certificate}/key.pem"}
            config["apps"]["tls"] = {"certificates": {"load_files": [pair]}}
        (self.room / "caddy.json").write_text(json.dumps(config))

    def command(self):
        return [self.program, "run", "--config", self.room / "caddy.json"]

    def environment(self):
        return {"GOMAXPROCS": "1", "HOME": str(self.room), "XDG_DATA_HOME": str(self.room)}

    def move(self, number, upstream):
        if number != self.hosts - 1:
            raise SystemExit("only the last host has a route of its own in Caddy")
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.extra_port}/id/last",
            json.dumps(self.route(upstream)).encode(),
            {"Content-Type": "application/json"},
            method="PATCH",
        )
        urllib.request.urlopen(request).read()


class Relay(Product):
    name = "relay"
    serves_files = False
    has_routes = False
    speaks_tls = False

    def __init__(self, tool, *place):
        super().__init__(*place)
        self.tool = tool

    def command(self):
        return [self.tool.path, "relay", "--listen", f"127.0.0.1:{self.port}", "--to", f"127.0.0.1:{self.upstreams[0]}"]


def caddy_program():
    """The one of the virtual environment that the README names, or on the path."""
    return os.environ.get("CADDY") or shutil.which("caddy")
