"""Pages over HTTP."""

from __future__ import annotations

import threading
import urllib.request

from warpline.cli.main import main
from warpline.cohort.page_server import PageServer


def test_pages_are_served_on_this_machine_only(tmp_path):
    assert main(["cohort", "serve", str(tmp_path)]) == 5
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "index.html").write_text("<p>here</p>")
    with PageServer(tmp_path, 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        host, port = server.server_address[:2]
        with urllib.request.urlopen(server.address("report/index.html")) as answer:
            assert answer.read() == b"<p>here</p>"
        assert host == "127.0.0.1"
        assert main(["cohort", "serve", str(tmp_path), "--port", str(port)]) == 2
        server.shutdown()
