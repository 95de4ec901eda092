"""Every form of address and URL that is refused, and the exceptions by setting."""

from ipaddress import ip_address

import pytest

from delivery_service.egress.rules import EgressRules, is_public
from delivery_service.model.errors import UrlRefused

PUBLIC = (
    "8.8.8.8",
    "1.1.1.1",
    "100.63.255.255",
    "172.15.0.1",
    "192.167.1.1",
    "2606:4700::1111",
    "2a00:1450:4001::200e",
)

REFUSED_ADDRESSES = {
    "this network": ("0.0.0.0", "0.1.2.3"),
    "private": ("10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"),
    "loopback": ("127.0.0.1", "127.255.255.254", "::1"),
    "link-local": ("169.254.1.1", "fe80::1", "febf::1"),
    "cloud metadata": ("169.254.169.254", "fd00:ec2::254", "192.0.0.192", "100.100.100.200"),
    "CGNAT": ("100.64.0.1", "100.127.255.255"),
    "multicast": ("224.0.0.1", "239.255.255.255", "ff02::1", "ff0e::1"),
    "broadcast and reserved": ("255.255.255.255", "240.0.0.1"),
    "documentation": ("192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1"),
    "benchmarking": ("198.18.0.1", "198.19.255.255", "2001:2::1"),
    "6to4": ("2002:7f00:1::", "2002:808:808::1", "192.88.99.1"),
    "Teredo": ("2001:0:4136:e378:8000:63bf:3fff:fdd2",),
    "ORCHID": ("2001:10::1", "2001:20::1"),
    "NAT64": ("64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::1"),
    "v4-mapped": ("::ffff:127.0.0.1", "::ffff:8.8.8.8"),
    "v4-compatible": ("::127.0.0.1", "::8.8.8.8"),
    "v4-translated": ("::ffff:0:7f00:1",),
    "unspecified": ("::",),
    "unique local": ("fc00::1", "fdff::1"),
    "site-local": ("fec0::1",),
    "discard": ("100::1",),
    "SRv6": ("5f00::1",),
    "zone": ("fe80::1%eth0", "2606:4700::1111%eth0"),
}

REFUSED_URLS = {
    "scheme": ("ftp://example.com", "file:///etc/passwd", "gopher://example.com", "javascript:alert(1)", "ws://a.example"),
    "no host": ("http://", "http:///path", "//example.com", "/path", "example.com", "", "http://?a=b"),
    "userinfo": ("http://user@example.com", "http://user:secret@example.com", "http://@example.com", "http://:@a.example"),
    "fragment": ("http://example.com/#part", "http://example.com/#", "http://example.com#@127.0.0.1/"),
    "trailing dot": ("http://example.com.", "http://127.0.0.1./", "http://localhost.:80/"),
    "empty label": ("http://a..example", "http://.example"),
    "decimal": ("http://2130706433/", "http://1/"),
    "octal": ("http://0177.0.0.1/", "http://017700000001/", "http://08.8.8.8/", "http://8.8.8.010/"),
    "hex": ("http://0x7f000001/", "http://0x7f.0.0.1/", "http://0X7F.1/", "http://8.8.8.0x8/"),
    "short": ("http://127.1/", "http://127.0.1/"),
    "beyond": ("http://256.1.1.1/", "http://1.2.3.4.5/"),
    "other digits": ("http://①②⑦.⓪.⓪.①/", "http://127。0。0。1/", "http://\uff11\uff12\uff17.0.0.1/"),
    "percent": ("http://%31%32%37.0.0.1/", "http://exa%6dple.com/"),
    "literal": ("http://127.0.0.1/", "http://[::1]/", "http://[::ffff:127.0.0.1]/", "http://[64:ff9b::7f00:1]/"),
    "zone": ("http://[fe80::1%eth0]/", "http://[fe80::1%25eth0]/", "http://[2606:4700::1111%25eth0]/"),
    "brackets": ("http://[example.com]/", "http://[v1.fe]/", "http://[::1/"),
    "port": ("http://example.com:22/", "http://8.8.8.8:25/", "http://example.com:0/", "http://example.com:65536/"),
    "spaces and controls": ("http://example.com/a b", "http://exam\tple.com", "http://example.com/\r\nx", " http://a.example"),
    "backslash": ("http://example.com\\@127.0.0.1/", "http:\\\\example.com"),
    "length": (f"http://example.com/{'a' * 2_048}", f"http://{'a' * 64}.example/", f"http://{'a.' * 127}example/"),
}  # fmt: skip

ACCEPTED_URLS = (
    "http://example.com",
    "https://httpbin.org/post",
    "https://example.com:8443/path?query=1",
    "http://8.8.8.8/",
    "https://[2606:4700::1111]/",
    "http://xn--exmple-cua.com/",
    "http://a_b.example/",
)


def each(table: dict[str, tuple[str, ...]]) -> list[object]:
    return [
        pytest.param(case, id=f"{kind}-{number}") for kind, cases in table.items() for number, case in enumerate(cases)
    ]


@pytest.mark.parametrize("address", each(REFUSED_ADDRESSES))
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    assert not EgressRules().permits(ip_address(address), 443)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_permitted_on_listed_ports(address: str) -> None:
    assert is_public(ip_address(address))
    assert EgressRules().permits(ip_address(address), 443)
    assert not EgressRules().permits(ip_address(address), 6379)


@pytest.mark.parametrize("url", each(REFUSED_URLS))
def test_a_url_that_leads_elsewhere_than_it_seems_is_refused(url: str) -> None:
    with pytest.raises(UrlRefused):
        EgressRules().check(url)


@pytest.mark.parametrize("url", ACCEPTED_URLS)
def test_an_ordinary_url_is_accepted(url: str) -> None:
    EgressRules().check(url)


def test_a_name_is_compared_in_the_form_it_is_resolved_in() -> None:
    assert EgressRules().check("http://Exämple.com/").raw_host == "xn--exmple-cua.com"


def test_https_can_be_required() -> None:
    rules = EgressRules(https_only=True)
    rules.check("https://example.com/")

    with pytest.raises(UrlRefused, match="https"):
        rules.check("http://example.com/")


def test_an_allowed_network_is_permitted_on_any_port_and_no_other_is() -> None:
    rules = EgressRules.allowing(["127.0.0.0/8", "::1/128"])
    rules.check("http://127.0.0.1:9999/")
    rules.check("http://[::1]:9999/")
    rules.check("http://localhost:9999/")

    assert not rules.permits(ip_address("10.0.0.1"), 80)
    assert not rules.permits(ip_address("8.8.8.8"), 9999)
    with pytest.raises(UrlRefused):
        rules.check("http://[::ffff:127.0.0.1]/")


def test_what_is_no_network_cannot_be_allowed() -> None:
    with pytest.raises(ValueError, match="host bits set"):
        EgressRules.allowing(["127.0.0.1/8"])
