from prbkit.errors import PrbError

def bind_errors(
    *, codec: type[PrbError], proof: type[PrbError], justification: type[PrbError]
) -> None: ...
