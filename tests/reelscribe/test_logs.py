"""Log lines for a console."""

import re
import subprocess
import sys

PROGRAM = """
import logging
from reelscribe import logs

logs.configure()
logging.getLogger("extractor_api").info("path resolved: %s", "a.mp4")
logging.getLogger("httpx").info("every request of ours")
for reason in ("refused", "refused", "refused", "Permission denied"):
    logging.getLogger("psycopg.pool").warning("error connecting: %s", reason)
logging.getLogger("extractor_api").warning("two\\nlines")
logging.getLogger("extractor_api").warning("%s is obeyed by a terminal", "\\x1b[31mred\\u202e.mp4")
"""


def test_each_message_is_one_plain_line_on_standard_error():
    completed = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    stamp = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
    assert re.fullmatch(
        rf"{stamp} INFO    path resolved: a\.mp4\n"
        rf"{stamp} WARNING error connecting: refused\n{stamp} WARNING error connecting: Permission denied\n"
        rf"{stamp} WARNING two\n    lines\n"  # continued lines are indented
        rf"{stamp} WARNING \\x1b\[31mred\\u202e\.mp4 is obeyed by a terminal\n",
        completed.stderr,
    )
    assert completed.stdout == ""
