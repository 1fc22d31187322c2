"""`sift-fast redact`: copy a text with its findings replaced, as it arrives.

Each piece goes through `Scanner.stream`, and what has become certain is written at once. Whatever ends the
copy early, what is still held back is discarded, never written.
"""

from __future__ import annotations

import codecs
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import chain
from typing import Any, Unpack

import click

from sift_fast.cli._options import ScannerArguments, make_scanner, scanner_options
from sift_fast.cli._output import Writer, check_target, opened
from sift_fast.cli._text import complain, count, megabytes
from sift_fast.cli._wide import encoding, undecided, warn, warn_binary
from sift_fast.cli.app import CLEAN

EPILOG = """\b
Examples:
  sift-fast redact chat.txt > clean.txt
  tail -f app.log | sift-fast redact --no-decode
  sift-fast redact chat.txt --rules default,pii
  sift-fast redact dump.sql --output dump.clean.sql --operator mask
  sift-fast redact - --operator replace:XXX --operator PASSWORD=remove

\b
Operators: replace (by <ENTITY_TYPE>), replace:TEXT, remove, mask, mask:N (the last N characters stay).
ENTITY_TYPE=OPERATOR sets one entity type, OPERATOR alone the rest."""

#: Bytes asked for at once. A pipe gives what it has, which is what makes line by line work.
PIECE = 1 << 16


class Options(ScannerArguments):
    """What the command is given, besides the file."""

    output: str | None
    operator: tuple[str, ...]
    quiet: bool


@click.command(epilog=EPILOG)
@click.argument("file", required=False, default="-", metavar="[FILE|-]")
@scanner_options
@click.option("--output", "-o", metavar="FILE", help="Write to a file, whole or not at all.")
@click.option(
    "--operator", multiple=True, metavar="[ENTITY=]OP", help="What takes a finding's place.  [default: replace]"
)
@click.option("--quiet", "-q", is_flag=True, help="No count on standard error.")
def redact(file: str, **options: Unpack[Options]) -> int:
    """Copy a text with secrets replaced; personal data too, with --rules default,pii.

    Reads FILE or standard input as it arrives and writes what is certain at once; any bytes pass. The end
    of a line from which something encoded could go on waits for the next line, but with --no-decode. Of a file
    that is no text, as documents and archives, a line on standard error says so. Exits 0 when all is copied, with
    or without findings.
    """
    check_target(options["output"])
    operators = _operators(options["operator"])
    scanner = make_scanner(options)
    with ExitStack() as stack:
        source: Any = sys.stdin.buffer if file == "-" else stack.enter_context(open(file, "rb", buffering=0))
        out = stack.enter_context(opened(options["output"]))
        stream = stack.enter_context(scanner.stream(operators=operators))
        size = _copy(source, "<stdin>" if file == "-" else file, stream, out)
        entities = Counter(finding.entity_type for finding in stream.findings)
        limits = stream.incomplete
    if limits:
        complain(f"limits were hit, the text is redacted all the same: {', '.join(limits)}")
    if not options["quiet"]:
        kinds = ", ".join(f"{entity} {number:,}" for entity, number in sorted(entities.items()))
        click.echo(
            f"{count(entities.total(), 'finding')} redacted in {megabytes(size)}" + (f": {kinds}" if kinds else ""),
            err=True,
        )
    return CLEAN


def _pieces(source: Any, name: str) -> Iterator[bytes]:
    """What there is, as soon as there is anything."""
    # `read1` of a buffered file and `read` of a raw one do not wait for more.
    read = getattr(source, "read1", source.read)
    while True:
        try:
            piece = read(PIECE)
        except OSError as error:
            raise type(error)(error.errno, error.strerror, name) from error
        if not piece:
            return
        yield piece


def _copy(source: Any, name: str, stream: Any, out: Writer) -> int:
    pieces = _pieces(source, name)
    head = b""
    for piece in pieces:
        head += piece
        if not undecided(head):
            break
    codec = encoding(head, name)
    if codec is not None:
        return _copy_wide(head, pieces, codec, stream, out)
    warn(head, name)
    warn_binary(head, name)
    # An empty head says that this stream is one of bytes, which `finish` must know even of an empty file.
    size = 0
    for piece in chain([head], pieces):
        size += len(piece)
        if certain := stream.feed(piece):
            out.write(certain)
            out.flush()
    out.write(stream.finish())
    return size


def _copy_wide(head: bytes, pieces: Iterator[bytes], codec: str, stream: Any, out: Writer) -> int:
    """The same of UTF-16, which stays UTF-16. Halves of pairs go through as they are."""
    decoder = codecs.getincrementaldecoder(codec)("surrogatepass")
    out.write(head[:2])
    stream.feed("")
    size = 2
    for piece in chain([head[2:]], pieces):
        size += len(piece)
        if certain := stream.feed(decoder.decode(piece)):
            out.write(certain.encode(codec, "surrogatepass"))
            out.flush()
    out.write(stream.finish().encode(codec, "surrogatepass"))
    # What is left of a text that was cut within a character.
    out.write(decoder.getstate()[0])
    return size


def _operators(words: tuple[str, ...]) -> dict[str, Any]:
    """`("mask:4", "PASSWORD=remove")` as the mapping that the scanner takes."""
    import sift_fast

    operators: dict[str, Any] = {}
    for word in words:
        entity, equals, operator = word.partition("=")
        # `replace:a=b` is an operator with a text.
        if not equals or ":" in entity:
            entity, operator = "default", word
        if entity in operators:
            raise click.BadParameter(f"`{entity}` is given two operators", param_hint="`--operator`")
        name, colon, argument = operator.partition(":")
        if name == "replace":
            operators[entity] = sift_fast.Replace(argument) if colon else sift_fast.Replace()
        elif name == "remove" and not colon:
            operators[entity] = sift_fast.Remove()
        elif name == "mask" and (not colon or (argument.isascii() and argument.isdigit())):
            operators[entity] = sift_fast.Mask(keep_last=int(argument or "0"))
        else:
            raise click.BadParameter(
                f"`{operator}` is no operator: choose replace, replace:TEXT, remove, mask or mask:N",
                param_hint="`--operator`",
            )
    return operators or {"default": sift_fast.Replace()}
