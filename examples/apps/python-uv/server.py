import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from greeting import greet


class Hello(BaseHTTPRequestHandler):
    def do_GET(self):
        body = greet("uv").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


ThreadingHTTPServer((os.environ["BIND_ADDRESS"], int(os.environ["PORT"])), Hello).serve_forever()
