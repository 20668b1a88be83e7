"""Downloads by file:// URLs, archives with hostile members."""

import hashlib
import io
import tarfile

import pytest

from common.data import download
from common.data.download import fetch, read_tar, sha256_of
from common.errors import InputError

DATA = b"some data\n" * 1000
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "published.bin"
    path.write_bytes(DATA)
    return path


def test_fetch(source, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "_CHUNK", 777)
    path = fetch(source.as_uri(), tmp_path / "new" / "folder" / "copy.bin", SHA256.upper())
    assert path.read_bytes() == DATA and sha256_of(path) == SHA256
    assert [p.name for p in path.parent.iterdir()] == ["copy.bin"]


def test_fetch_does_not_download_twice(source, tmp_path):
    path = fetch(source.as_uri(), tmp_path / "copy.bin", SHA256)
    source.unlink()
    assert fetch(source.as_uri(), path, SHA256) == path


@pytest.mark.parametrize(
    "url", ["file:///no/such/file", "nonsense", "nonsense://x", "http://127.0.0.1:9/x", "http://[x"]
)
def test_fetch_that_fails_says_what_to_do(url, tmp_path):
    path = tmp_path / "folder" / "copy.bin"
    with pytest.raises(InputError) as error:
        fetch(url, path, SHA256)
    assert url in str(error.value) and str(path) in str(error.value) and SHA256 in str(error.value)
    assert "\n" not in str(error.value) and not list(path.parent.iterdir())


def test_fetch_of_another_file(source, tmp_path):
    source.write_bytes(DATA[:-1])
    with pytest.raises(InputError, match="its SHA-256 is " + hashlib.sha256(DATA[:-1]).hexdigest()):
        fetch(source.as_uri(), tmp_path / "copy.bin", SHA256)
    assert [p.name for p in tmp_path.iterdir()] == [source.name]


def test_fetch_keeps_what_is_there(source, tmp_path):
    path = tmp_path / "mine.bin"
    path.write_bytes(b"mine")
    with pytest.raises(InputError, match="mine.bin: expected SHA-256"):
        fetch(source.as_uri(), path, SHA256)
    assert path.read_bytes() == b"mine"
    with pytest.raises(InputError, match="found a folder"):
        fetch(source.as_uri(), tmp_path, SHA256)


def archive(tmp_path, *members, mode="w:gz"):
    path = tmp_path / "archive.tar.gz"
    with tarfile.open(path, mode) as tar:
        for name, kind, target in members:
            member = tarfile.TarInfo(name)
            member.type, member.linkname, member.size = (
                kind,
                target,
                len(DATA) if kind == tarfile.REGTYPE else 0,
            )
            tar.addfile(member, io.BytesIO(DATA))
    return path


GOOD = ("a/good.txt", tarfile.REGTYPE, "")


@pytest.mark.parametrize(
    "member",
    [
        ("../evil.txt", tarfile.REGTYPE, ""),
        ("a/../../evil.txt", tarfile.REGTYPE, ""),
        ("/evil.txt", tarfile.REGTYPE, ""),
        ("link", tarfile.SYMTYPE, "/etc/passwd"),
        ("link", tarfile.SYMTYPE, "../../outside"),
        ("hard", tarfile.LNKTYPE, "/etc/passwd"),
        ("null", tarfile.CHRTYPE, ""),
        ("pipe", tarfile.FIFOTYPE, ""),
    ],
)
def test_hostile_members_reach_no_file(tmp_path, member):
    """Nothing is written, no link is followed: a member is its own bytes under a name."""
    path = archive(tmp_path, GOOD, member)
    found = list(read_tar(path, lambda name: True))
    assert found == [("a/good.txt", DATA)] + (
        [(member[0], DATA)] if member[1] == tarfile.REGTYPE else []
    )
    assert list(tmp_path.iterdir()) == [path]


def test_broken_archives(tmp_path):
    path = archive(tmp_path, GOOD)
    whole = path.read_bytes()
    for data in (b"", b"no archive", whole[: len(whole) // 2], whole[:60] + b"xx" + whole[62:]):
        path.write_bytes(data)
        with pytest.raises(InputError, match="whole tar archive"):
            list(read_tar(path, lambda name: True))


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_reading_an_archive_that_is_cut_anywhere(tmp_path, mode):
    """What is compressed is whole or refused; of a plain archive the end can be missing, but no
    part of a file.
    """
    path = archive(
        tmp_path, GOOD, ("dir", tarfile.DIRTYPE, ""), ("b.txt", tarfile.REGTYPE, ""), mode=mode
    )
    whole, files = path.read_bytes(), [("a/good.txt", DATA), ("b.txt", DATA)]
    assert list(read_tar(path, lambda name: name == "b.txt")) == files[1:]
    refused = 0
    for n in range(0, len(whole), 1 if len(whole) < 1000 else 256):
        path.write_bytes(whole[:n])
        try:
            found = list(read_tar(path, lambda name: True))
        except InputError as error:
            assert "expected a whole tar archive, found: " in str(error)
            refused += 1
        else:
            assert found == files or mode == "w" and found == files[: len(found)], n
    assert refused
