"""Documents: text, Markdown, HTML, PDF and DOCX as passages of bounded size.

Owns reading a whole document into text. The file's name ending alone decides which reader runs, never its content.
HTML, PDF and DOCX go through markitdown's converters, called directly: no plug-ins, no type guessing, no network,
no embedded media. They are imported only when such a file comes.

Covered: archives that unpack to too much, converters that raise or recurse, files without text.
Not covered here: a converter that runs for ever or crashes the process; the worker's limits end that job.
"""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from monitors.intake.guards import Refused, clean_text
from monitors.intake.passages import first_heading, split_passages

__all__ = ["DOCUMENTS", "read_document"]

_MAX_EXPANDED_BYTES = 200_000_000
_MAX_ARCHIVE_MEMBERS = 5_000
_MAX_TITLE_CHARACTERS = 200


def read_document(data: bytes, suffix: str, max_characters: int) -> Iterator[tuple[str, str | None]]:
    """Yield (passage, title of the document or None).

    Args:
        data: the file's bytes.
        suffix: lower-case name ending, a key of `DOCUMENTS`.
        max_characters: bound of one passage.

    Raises:
        Refused: the document cannot be read or holds no text.
    """
    markdown, title = DOCUMENTS[suffix](data)
    text = clean_text(markdown)
    if not text:
        raise Refused("holds no text (a scanned document needs text recognition before it comes here)")
    heading = clean_text(title)[:_MAX_TITLE_CHARACTERS] if title else first_heading(text)
    for passage in split_passages(text, max_characters):
        yield passage, heading or None


def _plain(data: bytes) -> tuple[str, str | None]:
    try:
        return data.decode("utf-8-sig"), None
    except UnicodeDecodeError as error:
        raise Refused(f"is not valid UTF-8 at byte {error.start}; save it as UTF-8") from error


def _html(data: bytes) -> tuple[str, str | None]:
    text, _ = _plain(data)  # strict: a guessed encoding would teach the model garbled words

    def convert() -> tuple[str, str | None]:
        from markitdown import StreamInfo
        from markitdown.converters import HtmlConverter

        stream = io.BytesIO(text.encode())
        result = HtmlConverter().convert(stream, StreamInfo(extension=".html", charset="utf-8"))
        return result.markdown, result.title

    return _converted(convert)


def _pdf(data: bytes) -> tuple[str, str | None]:
    if b"%PDF-" not in data[:1024]:
        raise Refused("is named .pdf but has no PDF header")

    def convert() -> tuple[str, str | None]:
        from markitdown import StreamInfo
        from markitdown.converters import PdfConverter

        return PdfConverter().convert(io.BytesIO(data), StreamInfo(extension=".pdf")).markdown, None

    return _converted(convert)


def _docx(data: bytes) -> tuple[str, str | None]:
    _require_small_archive(data)

    def convert() -> tuple[str, str | None]:
        from markitdown import StreamInfo
        from markitdown.converters import DocxConverter

        return DocxConverter().convert(io.BytesIO(data), StreamInfo(extension=".docx")).markdown, None

    return _converted(convert)


def _converted(convert: Callable[[], tuple[str, str | None]]) -> tuple[str, str | None]:
    """Run a converter; whatever it raises over a hostile file refuses that file alone, with the error named."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return convert()
    except (MemoryError, ImportError):
        raise
    except Exception as error:
        raise Refused(f"cannot be converted to text: {type(error).__name__}: {error}") from error


def _require_small_archive(data: bytes) -> None:
    # zipfile never yields more of a member than its directory entry declares, so the declared sizes bind.
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError, EOFError) as error:
        raise Refused(f"is named .docx but is not a readable archive: {error}") from error
    expanded_bytes = sum(member.file_size for member in members)
    if expanded_bytes > _MAX_EXPANDED_BYTES or len(members) > _MAX_ARCHIVE_MEMBERS:
        raise Refused(f"unpacks to {expanded_bytes} bytes in {len(members)} members: more than "
                      f"{_MAX_EXPANDED_BYTES} bytes or {_MAX_ARCHIVE_MEMBERS} members")  # fmt: skip
    if "word/document.xml" not in {member.filename for member in members}:
        raise Refused("is named .docx but has no word/document.xml")


DOCUMENTS: Final[Mapping[str, Callable[[bytes], tuple[str, str | None]]]] = {
    ".txt": _plain,
    ".text": _plain,
    ".md": _plain,
    ".markdown": _plain,
    ".html": _html,
    ".htm": _html,
    ".pdf": _pdf,
    ".docx": _docx,
}
