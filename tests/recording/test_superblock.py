import pytest

from magscope.recording.superblock import lookup3


@pytest.mark.parametrize(
    ("data", "checksum"),
    [(b"", 0xDEADBEEF), (b"Four score and seven years ago", 0x17770551)],
)
def test_the_checksum_gives_its_authors_published_values(data, checksum):
    assert lookup3(data) == checksum
