"""What can go wrong between us and the server behind us, as a tree.
Raised by this package, turned into answers by `middleware.calls`.

    UpstreamError
      + ConnectFailed    refused, unreachable, or not connected within the deadline: nothing was sent
      + UpstreamClosed   the server closed before its answer was whole
      + NoAnswer         nothing of an answer came within the deadline that the exchange was given
      + BadResponse      what it sent is not HTTP/1.1 that may be passed on
      + Aborted          we closed it ourselves, because the client left
"""


class UpstreamError(Exception):
    """Any failure of the exchange with the server behind us."""


class ConnectFailed(UpstreamError):
    """No connection was made, so the server has seen nothing of the request."""


class UpstreamClosed(UpstreamError):
    """The connection ended before the answer did."""


class NoAnswer(UpstreamError):
    """The server has the request, and has not begun to answer in time."""


class BadResponse(UpstreamError):
    """The server's bytes break HTTP/1.1, or its header is larger than we accept."""


class Aborted(UpstreamError):
    """`Exchange.abort` was called while somebody waited for the answer."""
