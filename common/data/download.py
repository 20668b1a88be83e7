"""Downloads files and verifies their checksums; reads archives without extracting them."""

import hashlib
import http.client
import os
import pathlib
import tarfile
import urllib.request
from collections.abc import Callable, Iterator
from typing import BinaryIO

from ..errors import InputError
from ..files import atomic_write, still_packed
from .text import no_text

_CHUNK = 1 << 20  # bytes
_TAR = ("a tar archive", "a gzip file", "a bzip2 file", "an xz file")
_TIMEOUT = 60  # seconds without an answer


def sha256_of(path: str | os.PathLike) -> str:
    """The SHA-256 of a file, in lower-case hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(url: str, path: str | os.PathLike, sha256: str) -> pathlib.Path:
    """Download `url` to `path` unless that exists; either way its SHA-256 is checked.

    The file appears under its name only when it is complete and correct; an existing file is never
    replaced. Whatever goes wrong, `InputError` says which file to get, from where, and where to put
    it.
    """
    path, sha256 = pathlib.Path(path), sha256.lower()
    if path.exists():
        if not path.is_file() or (found := sha256_of(path)) != sha256:
            what = f"a file with SHA-256 {found}" if path.is_file() else "a folder"
            raise InputError(
                f"{path}: expected SHA-256 {sha256}, found {what}; move it away to have {url}"
                " downloaded"
            )
        return path

    def download(file: BinaryIO) -> None:
        digest = hashlib.sha256()
        with urllib.request.urlopen(url, timeout=_TIMEOUT) as answer:
            while chunk := answer.read(_CHUNK):
                digest.update(chunk)
                file.write(chunk)
        if digest.hexdigest() != sha256:
            raise ValueError(f"its SHA-256 is {digest.hexdigest()}")

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, download)
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = str(error) or type(error).__name__
        raise InputError(
            f"could not download {url}: {reason}; get that file by hand (SHA-256 {sha256}) and put"
            f" it at {path}"
        ) from None
    return path


def fetch_data_set(url: str, path: pathlib.Path, sha256: str, *stems: str) -> pathlib.Path:
    """`fetch`, but an error if the folder holds an archive that is still to be unpacked.

    `stems` are the beginnings of such archives' names.
    """
    if packed := still_packed(path.parent, *stems):
        raise InputError(
            f"{path.parent}: expected {path.name} or what is in it, found neither, {packed}"
        )
    return fetch(url, path, sha256)


def read_tar(
    archive: str | os.PathLike, wanted: Callable[[str], object]
) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the `wanted` files in a tar archive, compressed or not.

    `wanted` is a function of the name. Nothing is extracted to the disk. Raises `InputError` for a
    broken archive.
    """
    with open(archive, "rb") as file:  # an OSError here says enough itself
        known = no_text(file.read(512))
        if known and not known.startswith(_TAR):
            raise InputError(f"{archive}: expected a tar archive, found {known}")
        file.seek(0)
        try:
            with tarfile.open(fileobj=file) as tar:
                for member in tar:
                    if member.isfile() and wanted(member.name):
                        yield member.name, tar.extractfile(member).read()
        # tarfile and the decompressors raise a dozen kinds of exceptions for broken files
        except Exception as error:
            reason = str(error) or type(error).__name__
            raise InputError(
                f"{archive}: expected a whole tar archive, found: {reason}; get it again"
            ) from None
