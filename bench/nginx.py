"""nginx doing the same job: static files behind `auth_request`, verdicts cached, a JSON line each.

The settings are the best that we know: files precompressed, descriptors cached, verdicts in shared
memory, the log buffered. What it cannot do is left out, not counted against it: sessions, an
encrypted cookie, sign-out, revocation.
"""

import gzip
import shutil
from collections.abc import Mapping
from pathlib import Path

from bench.servers import BenchProblem

INSTALL = "this contender needs nginx with auth_request: apt-get install nginx-light"
COMPRESSED = {".html", ".css", ".js", ".json", ".svg", ".xml", ".txt"}
_NOT_COPIED = {"content-type", "content-length", "content-encoding", "date", "server", "etag",
               "last-modified", "accept-ranges", "vary", "connection"}  # fmt: skip

_SETTINGS = """\
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr crit;
events {{ worker_connections 8192; }}
http {{
  types {{
    text/html html; text/css css; text/javascript js; application/json json;
    image/svg+xml svg; image/png png; application/xml xml; font/woff2 woff2;
  }}
  charset utf-8;
  sendfile on;
  tcp_nopush on;
  keepalive_timeout 75;
  keepalive_requests 100000000;
  open_file_cache max=20000 inactive=300s;
  open_file_cache_valid 300s;
  gzip_static on;
  gzip_vary on;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  proxy_cache_path {folder}/verdicts keys_zone=verdicts:16m inactive=10m;
  log_format line escape=json '{{"timestamp":"$time_iso8601","http.request.method":'
    '"$request_method","url.path":"$uri","http.response.status_code":$status,'
    '"http.response.body.size":$body_bytes_sent,"client.address":"$remote_addr",'
    '"user_agent.original":"$http_user_agent","request.id":"$request_id",'
    '"duration_ms":$request_time}}';
  access_log /dev/stdout line buffer=64k flush=1s;
  upstream api {{ server {api}; keepalive 16; }}
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    root {root};
    location / {{
      auth_request /_auth;
      try_files $uri $uri/index.html =404;
{headers}
    }}
    location = /_auth {{
      internal;
      if ($cookie_token = "") {{ return 401; }}
      proxy_pass http://api/valid?token=$cookie_token;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_pass_request_body off;
      proxy_pass_request_headers off;
      proxy_cache verdicts;
      proxy_cache_key $cookie_token;
      proxy_cache_valid 200 5m;
      proxy_cache_lock on;
    }}
  }}
}}
"""


def prepare(
    folder: Path, site: Path, port: int, verify_url: str, headers: Mapping[str, str]
) -> list[str]:
    """The command that starts it, on a copy of the site with compressed files, sending the gate's
    own `headers`. Raises `BenchProblem` where there is no nginx."""
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if nginx is None:
        raise BenchProblem(INSTALL)
    folder = folder / "nginx"
    root = folder / "site"
    shutil.copytree(site, root)
    for file in [each for each in root.rglob("*") if each.suffix in COMPRESSED]:
        file.with_name(file.name + ".gz").write_bytes(gzip.compress(file.read_bytes(), 6))
    added = "\n".join(
        f'      add_header {name} "{_quoted(value)}" always;'
        for name, value in headers.items()
        if name.lower() not in _NOT_COPIED
    )
    settings = folder / "nginx.conf"
    api = verify_url.partition("://")[2].partition("/")[0]
    settings.write_text(
        _SETTINGS.format(folder=folder, port=port, root=root, api=api, headers=added), "utf-8"
    )
    return [nginx, "-c", str(settings), "-p", str(folder)]


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "")
