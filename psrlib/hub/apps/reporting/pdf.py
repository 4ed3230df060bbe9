"""PDF of plain text: one font, as many A4 pages as it takes; enough for reports (ISO 32000-1, 7.5)."""

from collections.abc import Iterator

LINES_PER_PAGE = 54
LEADING_PT = 14
TOP_PT, LEFT_PT = 790, 50
PAGE_PT = (595, 842)  # A4


def write_pdf(lines: list[str]) -> bytes:
    """Return a PDF document with these lines; characters outside Windows-1252 become question marks."""
    pages = [lines[at : at + LINES_PER_PAGE] for at in range(0, len(lines), LINES_PER_PAGE)] or [[]]
    bodies = list(_objects(pages))
    document, places = bytearray(b"%PDF-1.4\n"), []
    for number, body in enumerate(bodies, start=1):
        places.append(len(document))
        document += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = len(document)
    document += b"xref\n0 %d\n0000000000 65535 f \n" % (len(bodies) + 1)
    document += b"".join(b"%010d 00000 n \n" % place for place in places)
    document += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(bodies) + 1, table)
    return bytes(document)


def _objects(pages: list[list[str]]) -> Iterator[bytes]:
    """Yield the bodies of catalog, page tree, font, and two objects per page: the page, its content."""
    kids = b" ".join(b"%d 0 R" % (4 + 2 * n) for n in range(len(pages)))
    yield b"<< /Type /Catalog /Pages 2 0 R >>"
    yield b"<< /Type /Pages /Kids [%s] /Count %d /MediaBox [0 0 %d %d] >>" % (kids, len(pages), *PAGE_PT)
    yield b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"
    for n, page in enumerate(pages):
        resources = b"<< /Font << /F1 3 0 R >> >>"
        yield b"<< /Type /Page /Parent 2 0 R /Resources %s /Contents %d 0 R >>" % (resources, 5 + 2 * n)
        content = b"BT /F1 10 Tf %d TL %d %d Td\n" % (LEADING_PT, LEFT_PT, TOP_PT)
        content += b"".join(b"(%s) Tj T*\n" % _escaped(line) for line in page) + b"ET"
        yield b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content)


def _escaped(line: str) -> bytes:
    text = line.encode("cp1252", "replace")
    for special in (b"\\", b"(", b")"):
        text = text.replace(special, b"\\" + special)
    return text.replace(b"\r", b" ").replace(b"\n", b" ")
