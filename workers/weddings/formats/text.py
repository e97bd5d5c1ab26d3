"""Bytes of a file as text: which encoding it is in, and what it is when it is no text at all."""

import codecs

from workers.foundation.errors import ExpectedError


class CalendarUnreadable(ExpectedError):
    """the calendar can't be read: {cause}"""

    http_status = 422


#: The byte order marks, the longer ones first: that of UTF-32 begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
#: What other files begin with, and what to do about it.
_NO_TEXT = (
    (
        b"PK\x03\x04",
        "it is an Excel workbook or another ZIP file; save the sheet as CSV (UTF-8), or unpack the file",
    ),
    (b"\xd0\xcf\x11\xe0", "it is an old Excel workbook; save the sheet as CSV (UTF-8)"),
    (b"\x1f\x8b", "it is packed with gzip; unpack it"),
    (b"%PDF", "it is a PDF; export the calendar as CSV or iCalendar"),
    (b"{\\rtf", "it is a text document (RTF); export the calendar as CSV or iCalendar"),
)


def unmarked(data: bytes) -> bytes:
    """Return what a file says in UTF-8, without a byte order mark.

    Raises CalendarUnreadable for what is no text file. Bytes that are no UTF-8 are left as they are: the
    formats know which line they are in.
    """
    if cause := next((what for begins, what in _NO_TEXT if data.startswith(begins)), None):
        raise CalendarUnreadable(cause=cause)
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "")
    try:
        plain = (
            data.removeprefix(codecs.BOM_UTF8)
            if encoding in ("", "utf-8-sig")
            else data.decode(encoding).encode()
        )
    except UnicodeDecodeError as error:
        raise CalendarUnreadable(
            cause=f"it begins as {encoding.upper()} and is none at byte {error.start}"
        ) from None
    if b"\0" in plain:
        raise CalendarUnreadable(cause=f"it is no text: byte {plain.index(0)} is NUL; save it as UTF-8 text")
    return plain


def decoded(data: bytes) -> tuple[str, str]:
    """Return the text of bytes and its encoding.

    UTF-8, or what Windows writes in the west when it is none.
    """
    try:
        return data.decode(), "UTF-8"
    except UnicodeDecodeError:
        # Its five undefined bytes stay visible instead of ending the import.
        return data.decode("cp1252", "replace"), "Windows-1252"
