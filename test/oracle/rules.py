"""What the standard says of the bytes of a connection, in few words: read(bytes) gives the requests,
and the rule that the next one breaks, if any. Written from the grammar of RFC 9110 and RFC 9112 with
regular expressions and no thought of speed, so that it shares nothing with the engine.

Where the standard leaves a choice, this takes the strict one, as the engine does. The names of the
rules are those of differences.md."""

import re
from typing import NamedTuple

from servers import Request

MAX_TARGET, MAX_SECTION, MAX_METHOD, MAX_FIELDS = 4096, 8192, 32, 100
MAX_CONTENT = 1 << 30
MAX_CHUNK_LINE = 256

TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
REQUEST_LINE = re.compile(rb"(%s) ([!-\"$-~]+) HTTP/([0-9])\.([0-9])" % TOKEN)
FIELD_LINE = re.compile(rb"(%s):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*" % TOKEN)
HOST = rb"(?:\[[-.~!$&'()*+,;=%:\w]+\]|[-.~!$&'()*+,;=%\w]*)"
AUTHORITY = re.compile(rb"(%s)(?::([0-9]{0,5}))?" % HOST, re.ASCII)
ABSOLUTE = re.compile(rb"[Hh][Tt][Tt][Pp][Ss]?://([^/?]+)(?:[/?].*)?")
QUOTED = rb'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*"'
EXTENSION = rb"[ \t]*;[ \t]*%s(?:[ \t]*=[ \t]*(?:%s|%s))?" % (TOKEN, TOKEN, QUOTED)
CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]+)(?:%s)*" % EXTENSION)
NOT_IN_TRAILERS = {b"host", b"trailer", b"upgrade", b"connection", b"content-length", b"transfer-encoding"}


class Reading(NamedTuple):
    requests: list
    raw: list    # the bytes of each
    rule: str    # the rule that is broken, or ""
    ended: bool  # the last request ended the connection


class Broken(Exception):
    """A rule is broken; its name."""


class Incomplete(Exception):
    """The bytes end within a request."""


class Bytes:
    """Bytes and a place in them."""

    def __init__(self, data):
        self.data = data
        self.at = 0

    def line(self, most, rule):
        """The next line without its end. `most` bytes before the LF are too many by one."""
        feed = self.data.find(b"\n", self.at)
        end = len(self.data) if feed < 0 else feed
        if end - self.at > most:
            raise Broken(rule)
        if feed < 0:
            raise Incomplete
        line, self.at = self.data[self.at:feed], feed + 1
        if not line.endswith(b"\r"):
            raise Broken("bare LF")
        return line[:-1]

    def take(self, length):
        if len(self.data) - self.at < length:
            raise Incomplete
        self.at += length
        return self.data[self.at - length:self.at]


def authority(text, port_needed=False):
    match = AUTHORITY.fullmatch(text)
    if not match or (match[2] is not None and not match[1]):
        return False
    port = int(match[2] or 0)
    return port <= 65535 and (port > 0 or not port_needed)


def members(value):
    """A comma-separated list; empty members count for nothing (RFC 9110, 5.6.1.2)."""
    return [member for member in (part.strip(b" \t") for part in value.split(b",")) if member]


def control(text, allowed=b""):
    """What control character a text has, if any."""
    for byte, name in ((b"\0", "NUL"), (b"\r", "bare CR")):
        if byte in text and byte not in allowed:
            return name
    if re.search(rb"[\x01-\x08\x0b-\x1f\x7f]", text):
        return "control character"
    return ""


def read_request_line(line):
    match = REQUEST_LINE.fullmatch(line)
    method = re.match(TOKEN, line)
    if not method or line[method.end():method.end() + 1] != b" ":
        raise Broken("method is no token")
    if method.end() > MAX_METHOD:
        raise Broken("long method")
    if not match:
        rest = line[method.end():]
        if re.search(rb" HTTP/[0-9]\.[0-9]$", rest) is None:
            raise Broken("version")
        if control(rest):
            raise Broken(f"{control(rest)} in target")
        if re.search(rb"[\x80-\xff]", rest):
            raise Broken("high byte in target")
        raise Broken("fragment in target" if b"#" in rest else "blanks in request line")
    method, target, major, minor = match.groups()
    if len(target) > MAX_TARGET:
        raise Broken("long target")
    if major != b"1":
        raise Broken("major version")
    if method == b"CONNECT":
        valid = authority(target, True)
    elif target == b"*":
        valid = method == b"OPTIONS"
    else:
        absolute = ABSOLUTE.fullmatch(target)
        valid = target[:1] == b"/" or (absolute and authority(absolute[1]))
    if not valid:
        raise Broken("form of target")
    return method, target, minor


def read_fields(data, trailer=False):
    """Field lines up to the empty line."""
    fields = []
    start = data.at
    while True:
        line = data.line(start + MAX_SECTION + 1 - data.at, "long header section")
        if not line:
            return fields
        match = FIELD_LINE.fullmatch(line)
        if not match:
            raise Broken(field_rule(line))
        if len(fields) == MAX_FIELDS:
            raise Broken("many fields")
        fields.append((match[1], match[2]))
        if trailer and match[1].lower() in NOT_IN_TRAILERS:
            raise Broken("framing field in trailers")
        if not trailer:
            check_field(match[1].lower(), match[2], fields)


def field_rule(line):
    if line[:1] in b" \t":
        return "line folding"
    name, colon, value = line.partition(b":")
    if not colon:
        return "field without colon"
    if re.fullmatch(rb"%s[ \t]+" % TOKEN, name):
        return "blank before colon"
    if not re.fullmatch(TOKEN, name):
        return f"{control(name)} in field name" if control(name) else "field name is no token"
    return f"{control(value)} in field value"


def check_field(name, value, fields):
    again = sum(other.lower() == name for other, _ in fields) > 1
    if name == b"host":
        if again:
            raise Broken("two Hosts")
        if not authority(value):
            raise Broken("form of Host")
    elif name == b"expect":
        if any(member.lower() != b"100-continue" for member in members(value)):
            raise Broken("unknown expectation")
    elif name == b"content-length":
        if again:
            raise Broken("two Content-Lengths")
        if not re.fullmatch(rb"[0-9]+", value):
            raise Broken("list of Content-Lengths" if b"," in value else "form of Content-Length")
        if len(value.lstrip(b"0")) > 18:
            raise Broken("huge Content-Length")


def framing(method, version, fields):
    """"", "chunked", or the length; and whether the connection goes on."""
    values = lambda name: [value for key, value in fields if key.lower() == name]
    if version == 11 and not values(b"host"):
        raise Broken("no Host")
    kind = ""
    if values(b"transfer-encoding"):
        codings = [coding.lower() for value in values(b"transfer-encoding") for coding in members(value)]
        if version == 10:
            raise Broken("Transfer-Encoding in HTTP/1.0")
        if values(b"content-length"):
            raise Broken("Transfer-Encoding and Content-Length")
        if b"chunked" not in codings:
            raise Broken("not chunked")
        if codings[-1] != b"chunked" or codings.count(b"chunked") > 1:
            raise Broken("chunked not once and last")
        if len(codings) > 1:
            raise Broken("unknown coding")
        kind = "chunked"
    elif values(b"content-length"):
        kind = int(values(b"content-length")[0].lstrip(b"0") or b"0")
        if kind > MAX_CONTENT:
            raise Broken("huge Content-Length")
    if method == b"CONNECT" and kind:
        raise Broken("CONNECT with content")
    options = {option.lower() for value in values(b"connection") for option in members(value)}
    goes_on = b"close" not in options and (version == 11 or b"keep-alive" in options)
    return kind, goes_on and method != b"CONNECT"


def read_chunked(data):
    content = b""
    while True:
        line = data.line(MAX_CHUNK_LINE - 1, "long chunk line")
        match = CHUNK_LINE.fullmatch(line)
        if not match:
            raise Broken(chunk_rule(line))
        size = int(match[1], 16)
        if size > 1 << 62:
            raise Broken("huge chunk")
        if size == 0:
            return content, read_fields(data, trailer=True)
        content += data.take(size)
        end = data.take(1)
        if end == b"\r":
            end += data.take(1)
        if end != b"\r\n":
            raise Broken("end of chunk data")


def chunk_rule(line):
    size = re.match(rb"[0-9A-Fa-f]*", line)[0]
    rest = line[len(size):].lstrip(b" \t")
    if not size or not rest or rest[:1] != b";":
        return "form of chunk size"
    return "form of chunk extension"


def read_request(data):
    for _ in range(3):
        line = data.line(MAX_TARGET + MAX_METHOD + 11, "long request line")
        if line:
            break
    else:
        raise Broken("many empty lines")
    method, target, minor = read_request_line(line)
    fields = read_fields(data)
    kind, goes_on = framing(method, 10 if minor == b"0" else 11, fields)
    if target[:8].lower() == b"https://":
        raise Broken("https in the clear")
    trailers = []
    content = b""
    if kind == "chunked":
        content, trailers = read_chunked(data)
    elif kind:
        content = data.take(kind)
    return Request(method, target, content, tuple(fields), tuple(trailers)), goes_on


def read(stream):
    data = Bytes(stream)
    requests, raw = [], []
    try:
        while data.at < len(stream):
            start = data.at
            request, goes_on = read_request(data)
            requests.append(request)
            raw.append(stream[start:data.at])
            if not goes_on:
                return Reading(requests, raw, "", True)
    except Broken as broken:
        return Reading(requests, raw, str(broken), False)
    except Incomplete:
        pass
    return Reading(requests, raw, "", False)
