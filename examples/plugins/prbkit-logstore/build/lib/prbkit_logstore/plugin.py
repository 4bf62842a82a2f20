"""The hooks. Only `prbkit.hookspecs` and the standard library are imported here."""

from prbkit.hookspecs import hookimpl


@hookimpl
def prbkit_schemes():
    return {"blob_store": ["logstore"]}


@hookimpl
def prbkit_blob_store(url, settings):
    """Make a store of ``logstore:PATH``; a relative path is relative to the data folder."""
    scheme, _, path = url.partition(":")
    if scheme != "logstore":
        return None
    from prbkit_logstore.store import LogStore

    return LogStore(url, settings.data_path(path))
