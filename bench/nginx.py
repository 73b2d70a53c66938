"""nginx doing the same job: static files behind `auth_request`, verdicts cached, a JSON line each.

The settings are the best that we know: files precompressed, descriptors cached, verdicts in shared
memory, the log buffered. What it cannot do is left out, not counted against it: its cookie is the
token itself, set unseen; no sessions, no sign-out, no revocation.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path

from bench.copies import NOT_COPIED
from bench.servers import Absent, Tls

INSTALL = "not installed: apt-get install nginx-light"

_BROTLI = Path("/usr/lib/nginx/modules/ngx_http_brotli_static_module.so")
"""Of libnginx-mod-http-brotli-static. Without it nginx sends gzip."""

_FILES = 20_000

_SETTINGS = """\
daemon off;
master_process off;
{brotli}pid {folder}/nginx.pid;
worker_rlimit_nofile {files};
error_log stderr crit;
events {{ worker_connections {files}; }}
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
  {brotli_static}
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
    listen 127.0.0.1:{port}{ssl} backlog=4096;
{tls}
    root {root};
    absolute_redirect off;
    location / {{
      if ($arg_token) {{
        add_header Set-Cookie
          "token=$arg_token; Path=/; Secure; HttpOnly; SameSite=None; Partitioned";
        return 303 $uri;
      }}
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
    folder: Path,
    root: Path,
    port: int,
    verify_url: str,
    headers: Mapping[str, str],
    tls: Tls | None,
) -> list[str]:
    """The command that starts it on a site with compressed files, sending the gate's own `headers`.
    Raises `Absent` where there is no nginx."""
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if nginx is None:
        raise Absent(INSTALL)
    folder = folder / f"nginx-{port}"
    folder.mkdir()
    added = "\n".join(
        f'      add_header {name} "{_quoted(value)}" always;'
        for name, value in headers.items()
        if name.lower() not in NOT_COPIED
    )
    certificate = "" if tls is None else f"    ssl_certificate {tls.certificate};\n"
    key = "" if tls is None else f"    ssl_certificate_key {tls.key};"
    settings = folder / "nginx.conf"
    text = _SETTINGS.format(
        folder=folder,
        port=port,
        root=root,
        api=verify_url.partition("://")[2].partition("/")[0],
        headers=added,
        files=_FILES,
        ssl="" if tls is None else " ssl",
        tls=certificate + key,
        brotli=f"load_module {_BROTLI};\n" if _BROTLI.exists() else "",
        brotli_static="brotli_static on;" if _BROTLI.exists() else "",
    )
    settings.write_text(text, "utf-8")
    return [nginx, "-c", str(settings), "-p", str(folder)]


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "")
