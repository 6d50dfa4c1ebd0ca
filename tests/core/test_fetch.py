"""What the one fetcher promises: it connects where it was checked that it may, and takes no more than it was told."""

from __future__ import annotations

import contextlib
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import httpcore2
import psutil
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from imagegen.core.addresses import AddressRefused, Origin
from imagegen.core.fetch import CONNECT_SECONDS, Fetched, Fetcher, FetchError, Problem, fetch, resolve
from tests.fakes.downloads import PRIVATE_ADDRESS
from tests.fakes.file_server import FileServer
from tests.waiting import LATE

DATA = bytes(range(256)) * 400
PUBLIC, OTHER_PUBLIC = "93.184.215.14", "2606:4700::11"
MEGABYTE = 1 << 20


@pytest.fixture
def server() -> Iterator[FileServer]:
    with FileServer(DATA, "image/png") as server:
        yield server


@pytest.fixture
def get(server: FileServer) -> Callable[..., Fetched]:
    """Fetch the server's file, which lies at a trusted address."""

    def get(**more: object) -> Fetched:
        options = {"max_bytes": MEGABYTE, "deadline_seconds": 10.0, "allowed": [Origin.of(server.url)]}
        return fetch(server.url, **(options | more))

    return get


def problem_of(get: Callable[[], object]) -> Problem:
    with pytest.raises(FetchError) as caught:
        get()
    assert caught.value.message.endswith(".")
    return caught.value.problem


def test_what_lies_there_comes_back_with_its_size_and_declared_type(get):
    fetched = get()

    assert (fetched.data, fetched.size, fetched.media_type) == (DATA, len(DATA), "image/png")


def test_it_can_be_written_to_a_file_instead(get, tmp_path):
    fetched = get(into=tmp_path / "file")

    assert (tmp_path / "file").read_bytes() == DATA
    assert (fetched.data, fetched.size) == (b"", len(DATA))


def test_a_file_that_is_there_is_not_written_over(get, server, tmp_path):
    (tmp_path / "file").write_text("mine")

    with pytest.raises(FileExistsError):
        get(into=tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"
    assert server.hits == []


@pytest.mark.parametrize("way", ["404", "cut", "endless", "redirect_private"])
def test_nothing_stays_of_a_file_that_did_not_come_whole(get, server, tmp_path, way):
    server.script(way)

    with pytest.raises((FetchError, AddressRefused)):
        get(into=tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


ENDINGS = {
    "403": (Problem.STATUS, True),
    "404": (Problem.STATUS, True),
    "410": (Problem.STATUS, False),
    "500": (Problem.STATUS, True),
    "503": (Problem.STATUS, True),
    "204": (Problem.STATUS, False),
    "redirects": (Problem.REDIRECTS, False),
    "cut": (Problem.LOST, True),
    "cut_before": (Problem.LOST, True),
    "endless": (Problem.TOO_LARGE, False),
    "endless_head": (Problem.LOST, True),
    "huge_length": (Problem.TOO_LARGE, False),
    "bomb": (Problem.TOO_LARGE, False),
    "packed_strangely": (Problem.PACKED, False),
    "packed_and_broken": (Problem.PACKED, False),
    "packed_and_cut": (Problem.LOST, True),
}


@pytest.mark.parametrize("way", ENDINGS)
def test_each_way_to_go_wrong_has_its_name(get, server, way):
    server.script(way, way, way)

    with pytest.raises(FetchError) as caught:
        get()

    assert (caught.value.problem, caught.value.may_pass) == ENDINGS[way]
    assert "signed" not in caught.value.message + repr(caught.value)


@pytest.mark.parametrize("way", ["packed", "packed_and_more"])
def test_what_comes_packed_is_unpacked(get, server, way):
    server.script(way)

    assert get().data == DATA


def test_what_follows_the_end_in_the_same_piece_is_left(get, server):
    """Behind a file that fills whole pieces when unpacked, the unpacker holds on to what it does not need."""
    server.script("packed_with_a_tail")

    assert get().data == DATA


@pytest.mark.parametrize("way", ["hang", "drip", "drip_head"])
def test_all_is_over_at_the_deadline_however_it_trickles(get, server, way):
    server.script({"kind": way, "seconds": 0.02})

    begun = time.monotonic()
    assert problem_of(lambda: get(deadline_seconds=0.4)) == Problem.LATE
    assert 0.3 < time.monotonic() - begun < 0.4 + LATE


def test_without_time_left_nothing_is_sent(get, server):
    assert problem_of(lambda: get(deadline_seconds=0.0)) == Problem.LATE
    assert server.hits == []


def test_exactly_as_many_bytes_as_are_allowed_are_taken(get):
    assert get(max_bytes=len(DATA)).size == len(DATA)
    assert problem_of(lambda: get(max_bytes=len(DATA) - 1)) == Problem.TOO_LARGE


def test_the_request_carries_no_key_no_cookie_and_no_login(get, server, monkeypatch, tmp_path):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))

    get(accept="image/png")

    assert server.hits == [
        {
            "path": "/file?signed=yes",
            "host": f"127.0.0.1:{server.port}",
            "user-agent": "imagegen-studio",
            "accept": "image/png",
            "accept-encoding": "identity",
            "connection": "close",
        }
    ]


def test_no_proxy_of_the_environment_is_asked(get, server, monkeypatch):
    with FileServer(b"from a proxy") as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")

        assert get().data == DATA
        assert proxy.hits == []


def test_a_server_that_takes_no_connection_is_unreachable(server):
    closed = server.url.replace(str(server.port), "1")

    def get() -> Fetched:
        return fetch(closed, max_bytes=9, deadline_seconds=5, allowed=[Origin.of(closed)])

    assert problem_of(get) == Problem.UNREACHABLE


@pytest.mark.parametrize("to", [PRIVATE_ADDRESS, "file:///etc/passwd", "https://127.1/", "https://[::1]/", "//0/"])
def test_a_redirect_is_checked_as_the_first_address_was(get, server, to):
    server.script({"kind": "redirect", "to": to})

    with pytest.raises(AddressRefused):
        get()
    assert len(server.hits) == 1


def test_a_redirect_to_another_port_of_the_same_machine_reaches_nobody(get, server):
    with FileServer(b"secrets of the machine") as canary:
        server.script({"kind": "redirect", "to": canary.url})

        with pytest.raises(AddressRefused):
            get()
        assert canary.hits == []


def test_two_redirects_are_followed_and_a_third_is_not(get, server):
    around = {"kind": "redirect", "to": "/file"}
    server.script(around, around)
    assert get().data == DATA

    server.script(around, around, around)
    assert problem_of(get) == Problem.REDIRECTS


# From here on names are looked up in a table, and public addresses lead to servers of this test.


class Wires(httpcore2.SyncBackend):
    """Leads public addresses to ports of this machine, and remembers where it was asked to connect."""

    def __init__(self, ports: dict[str, int]) -> None:
        self.ports = ports
        self.asked: list[tuple[str, int, float | None]] = []

    def connect_tcp(self, host, port, timeout=None, local_address=None, socket_options=None):
        self.asked.append((host, port, timeout))
        if host not in self.ports:
            raise httpcore2.ConnectError("nobody there")
        return super().connect_tcp("127.0.0.1", self.ports[host], timeout, local_address, socket_options)


class Names:
    """A name server with answers in a row; the last one stays."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The context of a server that is pictures.example, and of a client that believes it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pictures.example")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("pictures.example")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(file)
    return serving, ssl.create_default_context(cafile=str(file))


@pytest.fixture
def outside(certified: tuple[ssl.SSLContext, ssl.SSLContext]) -> Iterator[FileServer]:
    """The server of https://pictures.example."""
    with FileServer(DATA, "image/png", tls=certified[0]) as server:
        yield server


@pytest.fixture
def fetcher(outside: FileServer, certified: tuple[ssl.SSLContext, ssl.SSLContext]) -> Callable[..., Fetcher]:
    """Make a fetcher: `fetcher(names)` for which PUBLIC and OTHER_PUBLIC lead to the outside server."""

    def make(names: Callable[[str, int], list[str]], wires: Wires | None = None) -> Fetcher:
        network = wires or Wires({PUBLIC: outside.port, OTHER_PUBLIC: outside.port})
        return Fetcher(resolver=names, network=network, tls=lambda: certified[1])

    return make


def taken(fetcher: Fetcher, url: str = "https://pictures.example/1.png?sig=x") -> Fetched:
    return fetcher.fetch(url, max_bytes=MEGABYTE, deadline_seconds=5)


def test_an_outside_server_is_known_by_its_name_though_reached_by_its_address(fetcher, outside):
    wires = Wires({PUBLIC: outside.port})

    fetched = taken(fetcher(Names([PUBLIC]), wires))

    assert fetched.data == DATA
    assert [(hit["host"], hit["path"]) for hit in outside.hits] == [("pictures.example", "/1.png?sig=x")]
    [(address, port, seconds)] = wires.asked
    assert (address, port) == (PUBLIC, 443)
    assert seconds <= min(5, CONNECT_SECONDS)


def test_a_server_with_another_names_certificate_is_not_believed(fetcher, outside):
    assert problem_of(lambda: taken(fetcher(Names([PUBLIC])), "https://other.example/")) == Problem.UNREACHABLE
    assert outside.hits == []


def test_a_name_is_looked_up_once_so_a_second_answer_changes_nothing(fetcher, outside):
    with FileServer(b"secrets of the machine") as canary:
        names = Names([PUBLIC], ["127.0.0.1"])
        wires = Wires({PUBLIC: outside.port, "127.0.0.1": canary.port})

        assert taken(fetcher(names, wires)).data == DATA

        assert names.asked == ["pictures.example"]
        assert [address for address, *_ in wires.asked] == [PUBLIC]
        assert canary.hits == []


def test_after_a_redirect_the_name_is_looked_up_and_checked_again(fetcher, outside):
    outside.script({"kind": "redirect", "to": "https://pictures.example/2.png"})
    with FileServer(b"secrets of the machine") as canary:
        wires = Wires({PUBLIC: outside.port, "127.0.0.1": canary.port})

        with pytest.raises(AddressRefused, match="private network"):
            taken(fetcher(Names([PUBLIC], ["127.0.0.1"]), wires))

        assert (len(outside.hits), canary.hits) == (1, [])


def test_a_redirect_to_another_outside_server_is_followed(fetcher, outside):
    outside.script({"kind": "redirect", "to": "https://pictures.example:443/elsewhere"})

    assert taken(fetcher(Names([PUBLIC], [OTHER_PUBLIC]))).data == DATA
    assert outside.hits[1]["path"] == "/elsewhere"


@pytest.mark.parametrize(
    "answer",
    [
        ["127.0.0.1"],
        ["169.254.169.254"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["64:ff9b::7f00:1"],
        ["fe80::1%eth0"],
        ["10.0.0.7"],
        [PUBLIC, "127.0.0.1"],
        ["192.168.1.1", PUBLIC],
    ],
    ids=",".join,
)
def test_a_name_that_leads_inside_is_refused_before_anything_connects(fetcher, answer):
    wires = Wires({})

    with pytest.raises(AddressRefused, match="private network"):
        taken(fetcher(Names(answer), wires))
    assert wires.asked == []


def test_the_next_address_is_tried_if_one_takes_no_connection(fetcher, outside):
    wires = Wires({OTHER_PUBLIC: outside.port})

    assert taken(fetcher(Names([PUBLIC, OTHER_PUBLIC]), wires)).data == DATA
    assert [address for address, *_ in wires.asked] == [PUBLIC, OTHER_PUBLIC]


def test_a_name_with_very_many_addresses_is_not_tried_for_ever(fetcher):
    wires = Wires({})
    many = [f"8.8.{n}.8" for n in range(200)]

    assert problem_of(lambda: taken(fetcher(Names(many), wires))) == Problem.UNREACHABLE
    assert len(wires.asked) == 4


@pytest.mark.parametrize("failure", [OSError("no such name"), UnicodeError("label too long")])
def test_a_name_that_nobody_knows_is_unreachable(fetcher, failure):
    def names(host: str, port: int) -> list[str]:
        raise failure

    assert problem_of(lambda: taken(fetcher(names))) == Problem.UNREACHABLE


def test_a_name_without_addresses_is_unreachable(fetcher):
    assert problem_of(lambda: taken(fetcher(Names([])))) == Problem.UNREACHABLE


def test_a_slow_name_server_ends_at_the_deadline_too(fetcher):
    release = threading.Event()

    def names(host: str, port: int) -> list[str]:
        release.wait(60)
        return [PUBLIC]

    begun = time.monotonic()
    slow = fetcher(names)
    assert (
        problem_of(lambda: slow.fetch("https://pictures.example/", max_bytes=9, deadline_seconds=0.3)) == Problem.LATE
    )
    assert time.monotonic() - begun < 0.3 + LATE
    release.set()


def test_a_public_literal_needs_no_name_server(fetcher, outside):
    names = Names([])

    # The certificate is for a name, so nothing comes: but it was this address that was asked.
    wires = Wires({"8.8.8.8": outside.port})
    assert problem_of(lambda: taken(fetcher(names, wires), "https://8.8.8.8/")) == Problem.UNREACHABLE
    assert (names.asked, [address for address, *_ in wires.asked]) == ([], ["8.8.8.8"])


def test_a_trusted_name_may_lead_inside(server):
    own = Origin("http", "proxy.studio.internal", server.port)
    fetcher = Fetcher(resolver=Names(["127.0.0.1"]))

    fetched = fetcher.fetch(
        f"http://proxy.studio.internal:{server.port}/x", max_bytes=MEGABYTE, deadline_seconds=5, allowed=[own]
    )

    assert fetched.data == DATA


def test_the_systems_resolver_names_each_address_once():
    assert "127.0.0.1" in resolve("localhost", 443)
    assert len(resolve("127.0.0.1", 443)) == 1


MEASURE = """
import resource, sys
from pathlib import Path
from imagegen.core.addresses import Origin
from imagegen.core.fetch import FetchError, fetch
url, into = sys.argv[1:]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for _ in range(2):
    try:
        fetch(url, max_bytes=50_000_000, deadline_seconds=60, allowed=[Origin.of(url)], into=Path(into))
    except FetchError as error:
        print(error.problem, end=" ")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize("way", ["endless", "bomb"])
def test_memory_stays_flat_however_much_is_sent(server, tmp_path, way):
    server.script(way, way)

    command = [sys.executable, "-c", MEASURE, server.url, str(tmp_path / "file")]
    told = subprocess.run(command, capture_output=True, text=True, check=True)

    first, second, grown_kib = told.stdout.split()
    assert (first, second) == (Problem.TOO_LARGE, Problem.TOO_LARGE)
    assert int(grown_kib) < 20 * 1024
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("way", ["none", "404", "cut", "endless", "hang", "redirect_private"])
def test_no_connection_stays_open(get, server, way):
    server.script(way)

    with contextlib.suppress(FetchError, AddressRefused):
        get(deadline_seconds=0.3)

    mine = [line for line in psutil.Process().net_connections() if line.raddr and line.raddr.port == server.port]
    assert [line for line in mine if line.status == psutil.CONN_ESTABLISHED] == []
