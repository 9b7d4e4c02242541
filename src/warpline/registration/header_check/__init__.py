"""Whether headers are right, tested on what the images show.

`check` asks `search` for the best map under every reading of a header (`orientations`, `spacings`), `choice` takes one,
`mend` makes the affine of it; masks are held against their image (`masks`).
"""

from warpline.registration.header_check.check import check_headers
from warpline.registration.header_check.finding import Finding, HeaderCheck

__all__ = ["Finding", "HeaderCheck", "check_headers"]
