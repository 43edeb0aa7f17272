"""Files that exports replace: complete, whoever else writes them."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

from orchestrator.exports.dataset.layout import replace_file
from orchestrator.exports.files import replacing

WRITERS = 8


def test_tasks_of_one_process_write_files_of_one_folder_concurrently(tmp_path: Path) -> None:
    all_write = Barrier(WRITERS)

    def write(number: int) -> None:
        with replacing(tmp_path, tmp_path / f"{number}.txt") as unfinished:
            with unfinished.open("w") as file:
                all_write.wait(60)
                file.write(str(number))
            all_write.wait(60)

    with ThreadPoolExecutor(WRITERS) as threads:
        list(threads.map(write, range(WRITERS)))
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        f"{number}.txt": str(number) for number in range(WRITERS)
    }


def test_tasks_of_one_process_replace_one_file_concurrently(tmp_path: Path) -> None:
    contents = [bytes([number]) * 1_000_000 for number in range(WRITERS)]
    with ThreadPoolExecutor(WRITERS) as threads:
        list(threads.map(lambda content: replace_file(tmp_path / "one", content), contents * 5))
    assert [path.name for path in tmp_path.iterdir()] == ["one"]
    assert (tmp_path / "one").read_bytes() in contents
