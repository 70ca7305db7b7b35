# Copyright (c) costa_mm authors. All rights reserved.
"""A file server on the loopback that can be told to misbehave."""
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Dict, List, Optional, Tuple


class FileServer:
    """Serves bytes by path, with ranges and entity tags.

    Attributes:
        files (dict[str, bytes]): What there is; anything else is a 404.
        cuts (dict[str, int]): Paths of which the next answer breaks off after
            so many bytes.
        moved (dict[str, str]): Paths that redirect to other paths.
        log (list[tuple]): Method, path and range of every request.
    """

    def __init__(self, files: Optional[Dict[str, bytes]] = None) -> None:
        self.files = files or {}
        self.cuts: Dict[str, int] = {}
        self.moved: Dict[str, str] = {}
        self.log: List[Tuple[str, str, Optional[str]]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def do_GET(self):
                server.answer(self, body=True)

            def do_HEAD(self):
                server.answer(self, body=False)

            def log_message(self, *args):
                pass

        self._http = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self._http.daemon_threads = True
        self.url = f'http://127.0.0.1:{self._http.server_port}'
        threading.Thread(
            target=self._http.serve_forever, args=(0.05, ),
            daemon=True).start()

    def close(self) -> None:
        """Stop serving."""
        self._http.shutdown()
        self._http.server_close()

    def fetched(self, path: str) -> int:
        """How often the body of a path was asked for."""
        return sum(m == 'GET' and p == path for m, p, _ in self.log)

    def answer(self, request, body: bool) -> None:
        """Answer one request."""
        path = request.path.split('?')[0]
        span = request.headers.get('Range')
        self.log.append((request.command, path, span))
        if path in self.moved:
            request.send_response(302)
            request.send_header('Location', self.url + self.moved[path])
            request.send_header('Content-Length', '0')
            request.end_headers()
        elif path not in self.files:
            request.send_error(404)
        else:
            self._send(request, path, span, body)

    def _send(self, request, path: str, span: Optional[str],
              body: bool) -> None:
        data = self.files[path]
        start = int(span.split('=')[1].split('-')[0]) if span else 0
        if start >= len(data) and span:
            request.send_error(416)
            return
        request.send_response(206 if span else 200)
        if span:
            request.send_header(
                'Content-Range', f'bytes {start}-{len(data) - 1}/{len(data)}')
        request.send_header('Content-Length', str(len(data) - start))
        request.send_header('Accept-Ranges', 'bytes')
        # what a client of the Hugging Face hub reads
        request.send_header('ETag', f'"{hash(data) & 0xffffffff:08x}"')
        request.send_header('X-Repo-Commit', '0' * 40)
        request.end_headers()
        if not body:
            return
        stop = self.cuts.pop(path, None)
        request.wfile.write(data[start:stop])
        if stop is not None:
            request.wfile.flush()
            request.connection.shutdown(socket.SHUT_RDWR)
            request.close_connection = True
