"""Caddy doing the same job: `forward_auth` and `file_server`, a JSON line each.

The settings are the best that we know: files precompressed, connections to the verify API kept.
Caddy remembers no verdicts, so the API is asked about every request. What it cannot do is left out,
not counted against it, as with nginx.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path

from bench.copies import NOT_COPIED
from bench.servers import Absent, Tls

INSTALL = "not installed: apt-get install caddy"

_SETTINGS = """\
{{
  admin off
  auto_https off
  storage file_system {folder}
  servers {{
    protocols h1 h2
  }}
}}
{scheme}://:{port} {{
  bind 127.0.0.1
  {tls}
  log {{
    output stdout
    format json
  }}
  root * {root}
  header {{
{headers}
  }}
  @intake query token=*
  handle @intake {{
    header Set-Cookie `token={{query.token}}; Path=/; Secure; HttpOnly; SameSite=None; Partitioned`
    redir * {{path}} 303
  }}
  handle {{
    route {{
      @stranger not header_regexp Cookie token=
      respond @stranger 401
      forward_auth {api} {{
        uri /valid?token={{cookie.token}}
        transport http {{
          keepalive_idle_conns_per_host 4096
        }}
      }}
      file_server {{
        precompressed br gzip
      }}
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
    Raises `Absent` where there is no Caddy."""
    caddy = shutil.which("caddy")
    if caddy is None:
        raise Absent(INSTALL)
    added = "\n".join(
        f"    {name} `{value}`" for name, value in headers.items() if name.lower() not in NOT_COPIED
    )
    folder = folder / f"caddy-{port}"
    folder.mkdir()
    settings = folder / "Caddyfile"
    text = _SETTINGS.format(
        folder=folder,
        port=port,
        root=root,
        api=verify_url.partition("://")[2].partition("/")[0],
        headers=added,
        scheme="http" if tls is None else "https",
        tls="" if tls is None else f"tls {tls.certificate} {tls.key}",
    )
    settings.write_text(text, "utf-8")
    # it keeps a copy of its settings there, whatever they say
    at_home = ["env", f"XDG_CONFIG_HOME={folder}", f"XDG_DATA_HOME={folder}"]
    return [*at_home, caddy, "run", "--adapter", "caddyfile", "--config", str(settings)]
