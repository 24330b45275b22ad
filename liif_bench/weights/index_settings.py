"""The user's package index settings, read from pip's and uv's own places without either tool.

Within each tool the environment overrides the configuration files, as the tool itself does it.
Of two tools that both name sources, all are kept: those from the environment come first.
Every file that is fetched is pinned by its sha256, so that one source more is no risk.
"""

from __future__ import annotations

import configparser
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit
from urllib.request import url2pathname

import platformdirs

from liif_bench.errors import LiifBenchError
from liif_bench.paths import user_path
from liif_bench.shipped import tomllib

DEFAULT_TIMEOUT = 15.0
_TRUE = {"1", "y", "yes", "t", "true", "on"}
_PIP_FILE = "pip.ini" if sys.platform == "win32" else "pip.conf"
_PIP_SECTIONS = ("global", "install", "download")


@dataclass(frozen=True)
class IndexSettings:
    """Where packages may come from, and how to talk to those places.

    URLs may hold credentials: show them only through `redact`. They are left out of the repr.

    Attributes:
        index_urls: Simple indexes, in the order to try them.
        find_links: Folders and pages that list distributions, in the order to try them.
        default_index: Whether the default index is to be used beside `index_urls`.
        offline: Whether only sources on this machine may be used.
        trusted_hosts: Hosts whose certificates are not checked.
        cert: File or folder of certificate authorities; `None` for the system's.
        client_cert: File with the client's certificate and key.
        proxy: Proxy for every request; `None` leaves it to the environment.
        timeout: Seconds without an answer after which a source is given up.
    """

    index_urls: tuple[str, ...] = field(default=(), repr=False)
    find_links: tuple[str, ...] = field(default=(), repr=False)
    default_index: bool = True
    offline: bool = False
    trusted_hosts: tuple[str, ...] = ()
    cert: Path | None = None
    client_cert: Path | None = None
    proxy: str | None = field(default=None, repr=False)
    timeout: float = DEFAULT_TIMEOUT


@dataclass(frozen=True)
class _Layer:
    """What one origin (an environment or a file) says; `None` where it says nothing."""

    indexes: tuple[str, ...] = ()
    extra_indexes: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    trusted_hosts: tuple[str, ...] = ()
    no_index: bool | None = None
    offline: bool | None = None
    cert: Path | None = None
    client_cert: Path | None = None
    proxy: str | None = None
    timeout: float | None = None


def redact(text: str) -> str:
    """The text with the credentials and queries of every URL in it blanked out.

    >>> redact("cannot reach https://user:secret@host/simple?token=x today")
    'cannot reach https://***@host/simple?*** today'
    """
    text = re.sub(r"(?<=://)[^/\s'\"]*@", "***@", text)
    return re.sub(r"(://[^\s'\"?]*)\?[^\s'\"]*", r"\1?***", text)


def index_settings() -> IndexSettings:
    """The settings that hold for this process, its user and this machine."""
    environ = os.environ
    return read_settings(environ, pip_config_paths(environ), uv_config_paths(environ))


def read_settings(
    environ: Mapping[str, str],
    pip_files: Sequence[Path] = (),
    uv_files: Sequence[Path] = (),
) -> IndexSettings:
    """Work out the settings from an environment and configuration files.

    Args:
        environ: Environment variables.
        pip_files: pip's configuration files, the strongest last. Missing ones are skipped.
        uv_files: uv's configuration files, the strongest first. Missing ones are skipped.

    Returns:
        The settings, with every local path made an absolute `file:` URL.

    Raises:
        LiifBenchError: A file or value cannot be understood.
    """
    pip_env = _pip_environment(environ)
    pip_conf = {k: v for k, v in _pip_configuration(pip_files).items() if k not in pip_env}
    pip = [_pip_layer(pip_env), _pip_layer(pip_conf)]
    uv = [_uv_environment(environ), *(_uv_configuration(path, environ) for path in uv_files)]
    layers = [pip[0], uv[0], pip[1], *uv[1:]]
    no_index = any(_first(layer.no_index for layer in tool) for tool in (pip, uv))
    # An index of a stronger origin takes the place of the same tool's weaker ones.
    chosen = [next((layer for layer in tool if layer.indexes), None) for tool in (pip, uv)]
    indexes = [
        url
        for layer in layers
        for url in (*(layer.indexes if layer in chosen else ()), *layer.extra_indexes)
    ]
    fallback_cert = environ.get("REQUESTS_CA_BUNDLE") or environ.get("CURL_CA_BUNDLE")
    return IndexSettings(
        index_urls=() if no_index else _unique(indexes),
        find_links=_unique(url for layer in layers for url in layer.find_links),
        default_index=not no_index and not any(chosen),
        offline=bool(_first(layer.offline for layer in layers)),
        trusted_hosts=_unique(host for layer in layers for host in layer.trusted_hosts),
        cert=_first(layer.cert for layer in layers) or _path(fallback_cert),
        client_cert=_first(layer.client_cert for layer in layers),
        proxy=_first(layer.proxy for layer in layers),
        timeout=_first(layer.timeout for layer in layers) or DEFAULT_TIMEOUT,
    )


def pip_config_paths(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """The configuration files of pip, existing or not, in pip's order (the strongest last)."""
    named = environ.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return ()
    folders = platformdirs.site_config_dir("pip", appauthor=False, multipath=True)
    paths = [Path(folder, _PIP_FILE) for folder in folders.split(os.pathsep)]
    if sys.platform not in ("win32", "darwin"):
        paths.append(Path("/etc", _PIP_FILE))
    if not (named and Path(named).exists()):
        paths += _pip_user_paths()
    paths.append(Path(sys.prefix, _PIP_FILE))
    if named:
        paths.append(Path(named))
    return tuple(paths)


def uv_config_paths(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """The user and system files of uv, existing or not (the strongest first)."""
    if _is_true(environ.get("UV_NO_CONFIG")):
        return ()
    if named := environ.get("UV_CONFIG_FILE"):
        return (Path(named),)
    if sys.platform == "win32":
        homes = [environ.get("APPDATA"), environ.get("PROGRAMDATA")]
        return tuple(Path(home, "uv", "uv.toml") for home in homes if home)
    user = environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    system = (environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(os.pathsep)
    return tuple(Path(folder, "uv", "uv.toml") for folder in (user, *system, "/etc"))


def _pip_user_paths() -> list[Path]:
    legacy = Path.home() / ("pip" if sys.platform == "win32" else ".pip")
    folder = Path(platformdirs.user_config_dir("pip", appauthor=False, roaming=True))
    if sys.platform == "darwin" and not folder.is_dir():
        folder = Path.home() / ".config" / "pip"
    return [legacy / _PIP_FILE, folder / _PIP_FILE]


def _pip_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The options that `PIP_*` variables set; pip takes empty ones for unset."""
    return {
        key[4:].lower().replace("_", "-"): value
        for key, value in environ.items()
        if key.startswith("PIP_") and value
    }


def _pip_configuration(files: Sequence[Path]) -> dict[str, str]:
    """The options of all files together: a command's section is stronger than `[global]`."""
    sections: dict[str, dict[str, str]] = {name: {} for name in _PIP_SECTIONS}
    for path in files:
        parser = configparser.RawConfigParser()
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError) as error:
            raise _unreadable(path, error) from None
        for name in _PIP_SECTIONS:
            if parser.has_section(name):
                options = {k.replace("_", "-"): v for k, v in parser.items(name) if v}
                sections[name].update(options)
    return {key: value for name in _PIP_SECTIONS for key, value in sections[name].items()}


def _pip_layer(options: Mapping[str, str]) -> _Layer:
    timeout = options.get("timeout") or options.get("default-timeout")
    no_index = options.get("no-index")
    proxy = options.get("proxy")
    return _Layer(
        indexes=_locations(options.get("index-url", "").split()),
        extra_indexes=_locations(options.get("extra-index-url", "").split()),
        find_links=_locations(options.get("find-links", "").split()),
        trusted_hosts=tuple(options.get("trusted-host", "").split()),
        no_index=None if no_index is None else _is_true(no_index),
        cert=_path(options.get("cert")),
        client_cert=_path(options.get("client-cert")),
        proxy=proxy if proxy is None or "://" in proxy else f"http://{proxy}",
        timeout=_seconds(timeout, "pip's timeout"),
    )


def _uv_environment(environ: Mapping[str, str]) -> _Layer:
    default = environ.get("UV_DEFAULT_INDEX") or environ.get("UV_INDEX_URL", "")
    extra = f"{environ.get('UV_INDEX', '')} {environ.get('UV_EXTRA_INDEX_URL', '')}".split()
    no_index = environ.get("UV_NO_INDEX")
    offline = environ.get("UV_OFFLINE")
    return _Layer(
        indexes=tuple(_uv_index(item, environ) for item in default.split()),
        extra_indexes=tuple(_uv_index(item, environ) for item in extra),
        find_links=_locations(re.split(r"[,\n]", environ.get("UV_FIND_LINKS", ""))),
        trusted_hosts=tuple(environ.get("UV_INSECURE_HOST", "").split()),
        no_index=_is_true(no_index) if no_index else None,
        offline=_is_true(offline) if offline else None,
        timeout=_seconds(environ.get("UV_HTTP_TIMEOUT"), "UV_HTTP_TIMEOUT"),
    )


def _uv_configuration(path: Path, environ: Mapping[str, str]) -> _Layer:
    try:
        return _uv_layer(tomllib.loads(path.read_text(encoding="utf-8")), path.parent, environ)
    except OSError:
        return _Layer()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _unreadable(path, error) from None


def _uv_layer(data: dict[str, Any], base: Path, environ: Mapping[str, str]) -> _Layer:
    options = {**data, **data.get("pip", {})}
    indexes = [options["index-url"]] if "index-url" in options else []
    extra = list(options.get("extra-index-url", []))
    find_links = list(options.get("find-links", []))
    for entry in data.get("index", []):
        kind = indexes if entry.get("default") else extra
        kind = find_links if entry.get("format") == "flat" else kind
        kind.append(_with_credentials(entry["url"], entry.get("name"), environ))
    return _Layer(
        indexes=_locations(indexes, base),
        extra_indexes=_locations(extra, base),
        find_links=_locations(find_links, base),
        trusted_hosts=tuple(options.get("allow-insecure-host", [])),
        no_index=options.get("no-index"),
        offline=options.get("offline"),
    )


def _uv_index(item: str, environ: Mapping[str, str]) -> str:
    """The URL of one `url` or `name=url`."""
    named = re.fullmatch(r"([\w.-]+)=(.+)", item)
    name, url = named.groups() if named else (None, item)
    return _location(_with_credentials(url, name, environ))


def _with_credentials(url: str, name: str | None, environ: Mapping[str, str]) -> str:
    """The URL with the credentials that uv's variables hold for an index of that name."""
    stem = "UV_INDEX_" + re.sub(r"\W", "_", name or "").upper()
    user, password = environ.get(f"{stem}_USERNAME"), environ.get(f"{stem}_PASSWORD")
    parts = urlsplit(url)
    if not name or not (user or password) or "@" in parts.netloc:
        return url
    login = f"{quote(user or '', safe='')}:{quote(password or '', safe='')}"
    return urlunsplit(parts._replace(netloc=f"{login}@{parts.netloc}"))


def _locations(items: Iterable[str], base: Path | None = None) -> tuple[str, ...]:
    return tuple(_location(item.strip(), base) for item in items if item.strip())


def _location(item: str, base: Path | None = None) -> str:
    """A source as a URL: remote ones as they are, local ones as absolute `file:` URLs."""
    if "://" in item and not item.startswith("file:"):
        return item
    path = url2pathname(urlsplit(item).path) if item.startswith("file:") else item
    return (base or Path.cwd()).joinpath(user_path(path)).resolve().as_uri()


def _path(value: str | None) -> Path | None:
    return user_path(value) if value else None


def _seconds(value: str | None, what: str) -> float | None:
    try:
        return float(value) if value else None
    except ValueError:
        raise LiifBenchError(f"{what} is '{value}': give a number of seconds") from None


def _is_true(value: str | None) -> bool:
    return (value or "").strip().lower() in _TRUE


def _first(values: Iterable[Any]) -> Any:
    return next((value for value in values if value is not None), None)


def _unique(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))


def _unreadable(path: Path, error: Exception) -> LiifBenchError:
    """The error for a broken file, without its text: that may hold a password."""
    line = getattr(error, "lineno", None)
    where = f"line {line}" if line else type(error).__name__
    return LiifBenchError(f"{path}: not a readable configuration file ({where}): mend or remove it")
