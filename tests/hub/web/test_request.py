"""Bodies of requests: what is taken of an upload, and what is refused."""

import pytest

from psrlib.hub.catalog import all_routes
from psrlib.hub.web.issues import IssueError
from psrlib.hub.web.request import decode_body

UPLOAD = next(route for route in all_routes() if route.signature.body is bytes)
HEADERS = {"content-type": "multipart/form-data; boundary=B"}
PART = b'--B\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\nPK\x00\r\n\xff'
END = b"\r\n--B--\r\n"


@pytest.mark.parametrize("file_name", [b"", b'; filename="a.zip"'], ids=["as a field", "as a file"])
def test_the_part_named_file_is_taken(file_name: bytes) -> None:
    """Byte for byte, whether or not the part has a file name."""
    assert decode_body(UPLOAD, HEADERS, PART % (b"file", file_name) + END) == b"PK\x00\r\n\xff"


@pytest.mark.parametrize(
    "body",
    [PART % (b"file", b""), PART % (b"other", b"") + END, b"rubbish"],
    ids=["cut off", "other", "none"],
)
def test_an_upload_without_a_whole_part_named_file_is_refused(body: bytes) -> None:
    """One that was cut off on its way too: half an archive is none."""
    with pytest.raises(IssueError) as refused:
        decode_body(UPLOAD, HEADERS, body)
    assert refused.value.status == 400
