"""Etags: opaque to the caller, the row's version inside."""

from tulou_chassis.violations import StaleEtag


def etag_of(version: int) -> str:
    """The etag of a version."""
    return f"v{version}"


def check_etag(etag: str, *, version: int) -> None:
    """Raises StaleEtag, carrying the current one, when `etag` is of another version."""
    if etag != etag_of(version):
        raise StaleEtag(etag_of(version))
