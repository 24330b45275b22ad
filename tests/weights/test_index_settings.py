import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import unearth

import liif_bench.weights
from liif_bench.errors import LiifBenchError
from liif_bench.weights.index_settings import (
    IndexSettings,
    index_settings,
    pip_config_paths,
    read_settings,
    redact,
    uv_config_paths,
)

A, B, C, D = (f"https://{name}.example/simple" for name in "abcd")


def files(folder: Path, *texts: str) -> list[Path]:
    paths = [folder / f"file{i}" for i in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text)
    return paths


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, IndexSettings()),
        ({"PIP_INDEX_URL": A}, IndexSettings((A,), default_index=False)),
        ({"PIP_INDEX_URL": ""}, IndexSettings()),
        ({"PIP_EXTRA_INDEX_URL": f"{A}\n  {B}"}, IndexSettings((A, B))),
        (
            {"PIP_INDEX_URL": A, "PIP_EXTRA_INDEX_URL": f"{B} {A}"},
            IndexSettings((A, B), default_index=False),
        ),
        (
            {"PIP_NO_INDEX": "1", "PIP_INDEX_URL": A, "PIP_FIND_LINKS": f"{B} {C}"},
            IndexSettings(find_links=(B, C), default_index=False),
        ),
        ({"PIP_NO_INDEX": "0"}, IndexSettings()),
        (
            {"PIP_TRUSTED_HOST": "a.example b.example:8"},
            IndexSettings(trusted_hosts=("a.example", "b.example:8")),
        ),
        ({"PIP_CERT": "/ca.pem"}, IndexSettings(cert=Path("/ca.pem"))),
        (
            {"PIP_CERT": "/ca.pem", "REQUESTS_CA_BUNDLE": "/other"},
            IndexSettings(cert=Path("/ca.pem")),
        ),
        ({"CURL_CA_BUNDLE": "/other"}, IndexSettings(cert=Path("/other"))),
        ({"PIP_CLIENT_CERT": "/me.pem"}, IndexSettings(client_cert=Path("/me.pem"))),
        ({"PIP_PROXY": "proxy.example:3128"}, IndexSettings(proxy="http://proxy.example:3128")),
        ({"PIP_PROXY": "socks5://proxy.example"}, IndexSettings(proxy="socks5://proxy.example")),
        ({"PIP_DEFAULT_TIMEOUT": "7"}, IndexSettings(timeout=7)),
        ({"PIP_TIMEOUT": "8", "UV_HTTP_TIMEOUT": "9"}, IndexSettings(timeout=8)),
        ({"UV_DEFAULT_INDEX": A}, IndexSettings((A,), default_index=False)),
        ({"UV_DEFAULT_INDEX": f"corp={A}"}, IndexSettings((A,), default_index=False)),
        ({"UV_DEFAULT_INDEX": f"{A}?x=y"}, IndexSettings((f"{A}?x=y",), default_index=False)),
        ({"UV_INDEX_URL": A, "UV_EXTRA_INDEX_URL": B}, IndexSettings((A, B), default_index=False)),
        ({"UV_INDEX": f"corp={A} {B}"}, IndexSettings((A, B))),
        (
            {
                "UV_INDEX": f"co.x={A}",
                "UV_INDEX_CO_X_USERNAME": "me",
                "UV_INDEX_CO_X_PASSWORD": "a/b",
            },
            IndexSettings(("https://me:a%2Fb@a.example/simple",)),
        ),
        ({"UV_FIND_LINKS": f"{A},{B}"}, IndexSettings(find_links=(A, B))),
        ({"UV_NO_INDEX": "true", "PIP_INDEX_URL": A}, IndexSettings(default_index=False)),
        ({"UV_OFFLINE": "1"}, IndexSettings(offline=True)),
        ({"UV_INSECURE_HOST": "a.example"}, IndexSettings(trusted_hosts=("a.example",))),
        ({"PIP_INDEX_URL": A, "UV_INDEX_URL": B}, IndexSettings((A, B), default_index=False)),
    ],
)
def test_environment(environ: dict[str, str], expected: IndexSettings) -> None:
    assert read_settings(environ) == expected


@pytest.mark.parametrize(
    ("texts", "environ", "expected"),
    [
        ([f"[global]\nindex-url = {A}"], {}, IndexSettings((A,), default_index=False)),
        ([f"[global]\nindex_url = {A}"], {}, IndexSettings((A,), default_index=False)),
        ([f"[install]\nindex-url = {A}"], {}, IndexSettings((A,), default_index=False)),
        ([f"[list]\nindex-url = {A}"], {}, IndexSettings()),
        ([f"[global]\nextra-index-url =\n  {A}\n  {B}"], {}, IndexSettings((A, B))),
        (
            [f"[global]\nindex-url = {A}", f"[global]\nindex-url = {B}"],
            {},
            IndexSettings((B,), default_index=False),
        ),
        (  # a command's section is stronger than [global], in whatever file
            [f"[download]\nindex-url = {A}", f"[global]\nindex-url = {B}"],
            {},
            IndexSettings((A,), default_index=False),
        ),
        (
            [f"[global]\nindex-url = {A}\nextra-index-url = {B}"],
            {"PIP_INDEX_URL": C},
            IndexSettings((C, B), default_index=False),
        ),
        (["[global]\nno-index = true"], {"PIP_NO_INDEX": "off"}, IndexSettings()),
        (["[global]\nno-index = yes"], {}, IndexSettings(default_index=False)),
        (["[global]\ntimeout = 60"], {}, IndexSettings(timeout=60)),
        (
            [f"[global]\nindex-url = {A}"],
            {"UV_INDEX": B},
            IndexSettings((B, A), default_index=False),
        ),
    ],
)
def test_pip_files(
    texts: list[str], environ: dict[str, str], expected: IndexSettings, tmp_path: Path
) -> None:
    missing = tmp_path / "missing"
    assert read_settings(environ, [missing, *files(tmp_path, *texts)]) == expected


@pytest.mark.parametrize(
    ("texts", "environ", "expected"),
    [
        ([f'index-url = "{A}"'], {}, IndexSettings((A,), default_index=False)),
        ([f'extra-index-url = ["{A}", "{B}"]'], {}, IndexSettings((A, B))),
        ([f'find-links = ["{A}"]'], {}, IndexSettings(find_links=(A,))),
        ([f'[pip]\nindex-url = "{A}"'], {}, IndexSettings((A,), default_index=False)),
        (
            [f'[[index]]\nurl = "{A}"\n[[index]]\nname = "b"\nurl = "{B}"\ndefault = true'],
            {},
            IndexSettings((B, A), default_index=False),
        ),
        ([f'[[index]]\nurl = "{A}"\nformat = "flat"'], {}, IndexSettings(find_links=(A,))),
        (["no-index = true"], {}, IndexSettings(default_index=False)),
        (["offline = true"], {}, IndexSettings(offline=True)),
        (["offline = true"], {"UV_OFFLINE": "0"}, IndexSettings()),
        (
            [f'index-url = "{A}"\nextra-index-url = ["{C}"]', f'index-url = "{B}"'],
            {},
            IndexSettings((A, C), default_index=False),
        ),
        (
            [f'index-url = "{A}"\nextra-index-url = ["{C}"]'],
            {"UV_DEFAULT_INDEX": D},
            IndexSettings((D, C), default_index=False),
        ),
    ],
)
def test_uv_files(
    texts: list[str], environ: dict[str, str], expected: IndexSettings, tmp_path: Path
) -> None:
    missing = tmp_path / "missing"
    assert read_settings(environ, (), [missing, *files(tmp_path, *texts)]) == expected


def test_local_places_become_absolute_urls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    plain, spaced, home = (tmp_path / name for name in ("wheels", "two words", "home/wheels"))
    uv_toml = tmp_path / "etc" / "uv.toml"
    uv_toml.parent.mkdir()
    uv_toml.write_text('find-links = ["beside"]')
    environ = {
        "PIP_FIND_LINKS": f"wheels ./wheels file:wheels file:{plain} {spaced.as_uri()} ~/wheels",
        "UV_FIND_LINKS": "two words",
        "PIP_INDEX_URL": str(plain),
    }
    settings = read_settings(environ, (), [uv_toml])
    beside = uv_toml.parent / "beside"
    assert settings.find_links == tuple(p.as_uri() for p in (plain, spaced, home, beside))
    assert settings.index_urls == (plain.as_uri(),)


@pytest.mark.parametrize(
    "text",
    ["index-url https://me:secret@a.example", "[global]\njust secret words"],
)
def test_a_broken_file_is_named_but_not_quoted(text: str, tmp_path: Path) -> None:
    [path] = files(tmp_path, text)
    for settings in (([path], []), ([], [path])):
        with pytest.raises(LiifBenchError, match=f"{path}: not a readable") as caught:
            read_settings({}, *settings)
        assert "secret" not in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["[[index]]\nname = 'x'", "pip = 3", "index = 'x'"])
def test_a_uv_file_of_another_shape_is_an_error(text: str, tmp_path: Path) -> None:
    with pytest.raises(LiifBenchError, match="not a readable configuration file"):
        read_settings({}, (), files(tmp_path, text))


def test_a_timeout_that_is_no_number_is_an_error() -> None:
    with pytest.raises(LiifBenchError, match="pip's timeout is 'soon'"):
        read_settings({"PIP_TIMEOUT": "soon"})


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:pw@host/x", "https://***@host/x"),
        (
            "at 'https://me:p@w@host/x' and ftp://tok@host",
            "at 'https://***@host/x' and ftp://***@host",
        ),
        ("https://host/x?sig=1&b=2 gone", "https://host/x?*** gone"),
        ("https://host/~me@home/x", "https://host/~me@home/x"),
        ("mail me@host", "mail me@host"),
    ],
)
def test_redact(text: str, shown: str) -> None:
    assert redact(text) == shown


def test_the_repr_has_no_credentials() -> None:
    secret = "https://me:secret@host"
    assert "secret" not in repr(IndexSettings((secret,), (secret,), proxy=secret))


def test_pip_looks_into_the_same_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pip", reason="pip, the reference, is not installed")
    named = tmp_path / "named.conf"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_DIRS", f"{tmp_path}/one{os.pathsep}{tmp_path}/two")
    for value in (None, str(named), os.devnull):
        if value is None:
            monkeypatch.delenv("PIP_CONFIG_FILE", raising=False)
        else:
            monkeypatch.setenv("PIP_CONFIG_FILE", value)
        assert [str(path) for path in pip_config_paths(os.environ)] == files_of_pip(value)
    named.touch()
    monkeypatch.setenv("PIP_CONFIG_FILE", str(named))
    assert named in pip_config_paths(os.environ)
    assert not any(
        path.is_relative_to(tmp_path / ".config") for path in pip_config_paths(os.environ)
    )


def files_of_pip(config_file: str | None) -> list[str]:
    if config_file == os.devnull:
        return []
    code = (
        "from pip._internal.configuration import get_configuration_files as get; files = get();"
        "print(*files['global'], *files['user'], *files['site'], sep='\\n')"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return run.stdout.split("\n")[:-1] + ([config_file] if config_file else [])


def test_places_of_uv_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert uv_config_paths({"UV_NO_CONFIG": "1"}) == ()
    assert uv_config_paths({"UV_CONFIG_FILE": "x.toml"}) == (Path("x.toml"),)
    if sys.platform != "win32":
        assert uv_config_paths({})[0] == tmp_path / ".config/uv/uv.toml"
        assert uv_config_paths({"XDG_CONFIG_HOME": "/xdg"})[0] == Path("/xdg/uv/uv.toml")


def test_settings_of_this_process(monkeypatch: pytest.MonkeyPatch, no_settings: None) -> None:
    assert index_settings().index_urls == ()
    monkeypatch.setenv("PIP_INDEX_URL", A)
    assert index_settings().index_urls == (A,)


def test_no_file_of_the_package_names_a_registry() -> None:
    host = urlsplit(unearth.PackageFinder().sources[0]["url"]).hostname
    assert host
    package = Path(liif_bench.weights.__file__).parent
    sources = [*package.glob("*.*"), *Path(__file__).parent.glob("*.py")]
    assert len(sources) > 8
    assert [path.name for path in sources if host in path.read_text()] == []
