"""Which addresses are fetched: outside servers in plain form, and what an operator has set."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from imagegen.core.addresses import AddressRefused, Origin, check, is_public

OWN = Origin("http", "127.0.0.1", 8080)

GOOD = [
    "https://example.org",
    "https://example.org/a/b.png?sig=a%2Fb&x=1#part",
    "https://EXAMPLE.org:443/",
    "HTTPS://xn--bcher-kva.example/",
    "https://8.8.8.8/x",
    "https://[2606:4700:4700::1111]/x",
    "https://1.example.org/",
    "https://a1.b-2.example/",
]

HOSTILE = {
    "plain http": "http://example.org/",
    "a file": "file:///etc/passwd",
    "ftp": "ftp://example.org/",
    "gopher": "gopher://example.org:70/_x",
    "data": "data:image/png;base64,AAAA",
    "no scheme": "//example.org/",
    "no host": "https:///x",
    "nothing": "",
    "another port": "https://example.org:22/",
    "another port of TLS": "https://example.org:8443/",
    "no number for a port": "https://example.org:x/",
    "port 99999": "https://example.org:99999/",
    "an empty port": "https://example.org:/",
    "a port with a nought": "https://example.org:0443/",
    "a user": "https://example.org@127.0.0.1/",
    "a user and a password": "https://a:b@example.org/",
    "an empty user": "https://@example.org/",
    "a backslash": "https://example.org\\@127.0.0.1/",
    "a blank": "https://example.org /",
    "a tab": "https://exam\tple.org/",
    "a new line": "https://example.org/\r\nHost: x",
    "a NUL": "https://example.org/\0",
    "127.1": "https://127.1/",
    "hexadecimal": "https://0x7f.1/",
    "all hexadecimal": "https://0x7f000001/",
    "decimal": "https://2130706433/",
    "octal": "https://0177.0.0.1/",
    "a nought": "https://0/",
    "loopback": "https://127.0.0.1/",
    "this network": "https://0.0.0.0/",
    "circled digits": "https://①②⑦.⓪.⓪.①/",
    "full-width digits": "https://\N{FULLWIDTH DIGIT ONE}27.0.0.1/",
    "an ideographic full stop": "https://127。0。0。1/",
    "letters of IDNA": "https://ⓔxample.org/",
    "percent signs": "https://%31%32%37.0.0.1/",
    "a dot at the end": "https://127.0.0.1./",
    "a name with a dot at the end": "https://localhost./",
    "two dots": "https://a..example/",
    "an underscore": "https://a_b.example/",
    "a hyphen first": "https://-a.example/",
    "a label too long": f"https://{'a' * 64}.example/",
    "a name too long": f"https://{'a.' * 130}example/",
    "mapped": "https://[::ffff:127.0.0.1]/",
    "mapped public": "https://[::ffff:8.8.8.8]/",
    "compatible": "https://[::127.0.0.1]/",
    "loopback of IPv6": "https://[::1]/",
    "unspecified": "https://[::]/",
    "a zone": "https://[fe80::1%25eth0]/",
    "a public address with a zone": "https://[2606:4700:4700::1111%25eth0]/",
    "something behind the bracket": "https://[2606:4700:4700::1111]x/",
    "an open bracket": "https://[::1/",
    "metadata": "https://169.254.169.254/latest/meta-data/",
    "very long": "https://example.org/" + "a" * 9000,
}

NOT_PUBLIC = (
    "0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 100.100.100.200 100.127.255.255 127.0.0.1 127.255.255.254 "
    "168.63.129.16 169.254.0.1 169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.9 192.0.0.192 "
    "192.0.2.1 192.88.99.1 192.168.1.1 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 "
    "239.255.255.255 240.0.0.1 255.255.255.255 :: ::1 ::127.0.0.1 ::8.8.8.8 ::ffff:127.0.0.1 "
    "::ffff:8.8.8.8 64:ff9b::7f00:1 64:ff9b::808:808 64:ff9b:1::1 100::1 2001::1 2001:2::1 2001:10::1 "
    "2001:20::1 2001:db8::1 2002:7f00:1:: 2002:808:808:: 3fff::1 4000::1 5f00::1 fc00::1 fd00:ec2::254 "
    "fe80::1 fe80::1%eth0 fec0::1 ff02::1 ff0e::1"
)

PUBLIC = "1.1.1.1 8.8.8.8 99.255.255.255 100.128.0.0 172.32.0.1 192.0.1.1 223.255.255.255 2606:4700::11 2a00:1450::1"


@pytest.mark.parametrize("url", GOOD)
def test_an_outside_server_is_fetched(url):
    assert check(url).origin.port == 443


@pytest.mark.parametrize("case", HOSTILE)
def test_any_other_form_is_refused_with_a_sentence_that_does_not_repeat_it(case):
    with pytest.raises(AddressRefused) as caught:
        check(HOSTILE[case], allowed=[OWN])

    assert caught.value.message.endswith(".")
    assert "example" not in caught.value.message


@pytest.mark.parametrize("text", NOT_PUBLIC.split())
def test_an_address_within_or_without_a_place_is_not_public(text):
    assert not is_public(ip_address(text))


@pytest.mark.parametrize("text", PUBLIC.split())
def test_an_address_of_the_internet_is_public(text):
    assert is_public(ip_address(text))


def test_what_an_operator_set_is_trusted_for_exactly_that_scheme_host_and_port():
    assert check("http://127.0.0.1:8080/x?y", [OWN]).trusted

    for near in ("http://127.0.0.1:8081/", "https://127.0.0.1:8080/", "http://127.0.0.2:8080/", "http://127.0.0.1/"):
        with pytest.raises(AddressRefused):
            check(near, [OWN])


def test_a_user_name_is_refused_in_a_trusted_address_too():
    with pytest.raises(AddressRefused, match="user name"):
        check("http://a@127.0.0.1:8080/", [OWN])


def test_an_outside_server_is_not_trusted_because_another_is():
    assert not check("https://example.org/", [OWN]).trusted


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://API.example.org/v1", Origin("https", "api.example.org", 443)),
        ("http://127.0.0.1:8080/v1", OWN),
        ("http://[::1]/v1", Origin("http", "::1", 80)),
    ],
)
def test_the_origin_of_a_base_url(url, origin):
    assert Origin.of(url) == origin


@pytest.mark.parametrize(
    ("origin", "authority"),
    [
        (Origin("https", "a.example", 443), "a.example"),
        (Origin("http", "a.example", 8080), "a.example:8080"),
        (Origin("http", "::1", 8080), "[::1]:8080"),
    ],
)
def test_the_authority_is_what_a_host_header_says(origin, authority):
    assert origin.authority == authority


def test_the_path_is_sent_as_it_was_signed_and_the_fragment_is_not():
    assert check("https://example.org/a%2Fb?sig=%2b&x#part").path == "/a%2Fb?sig=%2b&x"


def test_an_address_shows_in_no_repr():
    assert "secret" not in repr(check("https://example.org/secret?secret"))
