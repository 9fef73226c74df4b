"""Downloads from a server of this machine that does what servers and networks do."""

import hashlib
import io
import json
import shutil
import stat
import threading
import warnings
import zipfile
from collections import namedtuple
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from radiomics_npc.dataset import download as download_module
from radiomics_npc.dataset import unpacking, web_client
from radiomics_npc.dataset.download import download
from radiomics_npc.dataset.unpacking import Archive, safe_parts
from radiomics_npc.dataset.web_client import Client
from radiomics_npc.dataset.zenodo import parse_record, record_number
from radiomics_npc.errors import DownloadError

NUMBER = "13131827"
BIG = np.random.default_rng(0).bytes(3_000_000)


class Server:
    """A small Zenodo. ``faults`` holds, per path, what to do with the next requests."""

    def __init__(self):
        self.files: dict[str, bytes] = {}
        self.checksums: dict[str, str] = {}
        self.faults: dict[str, list] = {}
        self.requests: list[tuple[str, str | None, str | None]] = []
        self.ranges = True
        self.etag: str | None = '"one"'
        self.metadata = {
            "title": "A data set",
            "publication_date": "2024-07-30",
            "license": {"id": "cc-by-4.0"},
            "creators": [{"name": "Li, Yin"}, {"name": "Chen, Qi"}],
        }
        handler = type("Handler", (_Handler,), {"zenodo": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.root = f"http://127.0.0.1:{self.server.server_port}"
        self.base_url = f"{self.root}/api/records/"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})

    def record(self):
        return {
            "id": int(NUMBER),
            "doi": f"10.5281/zenodo.{NUMBER}",
            "metadata": self.metadata,
            "files": [
                {
                    "key": name,
                    "size": len(content),
                    "checksum": self.checksums.get(name, "md5:" + hashlib.md5(content).hexdigest()),
                    "links": {"self": f"{self.base_url}{NUMBER}/files/{name}/content"},
                }
                for name, content in self.files.items()
            ],
        }

    def asked(self, name):
        return [r for r in self.requests if r[0].endswith(f"{name}/content")]


class _Handler(BaseHTTPRequestHandler):
    zenodo: Server

    def log_message(self, *args):
        pass

    def answer(self, status, content=b"", **headers):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self):
        zenodo = self.zenodo
        zenodo.requests.append((self.path, self.headers.get("Range"), self.headers.get("If-Range")))
        name = self.path.split("/")[-2]
        faults = zenodo.faults.get(name if name in zenodo.files else self.path.split("/")[-1], [])
        if faults and faults.pop(0)(self):
            return
        if self.path == f"/api/records/{NUMBER}":
            return self.answer(200, json.dumps(zenodo.record()).encode())
        if name not in zenodo.files:
            return self.answer(404)
        self.send_file(zenodo.files[name])

    def send_file(self, content, stop=None):
        zenodo, begin, headers = self.zenodo, 0, {}
        if zenodo.etag:
            headers["ETag"] = zenodo.etag
        asked, if_range = self.headers.get("Range"), self.headers.get("If-Range")
        if asked and zenodo.ranges and if_range in (None, zenodo.etag):
            begin = int(asked.removeprefix("bytes=").rstrip("-"))
            headers["Content-Range"] = f"bytes {begin}-{len(content) - 1}/{len(content)}"
        self.send_response(206 if begin else 200)
        for key, value in {**headers, "Content-Length": str(len(content) - begin)}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(content[begin:stop])
        if stop is not None:
            self.wfile.flush()
            self.connection.close()


def drop_at(stop):
    def fault(handler):
        name = handler.path.split("/")[-2]
        handler.send_file(handler.zenodo.files[name], stop)
        return True

    return fault


def say(status, content=b"", **headers):
    def fault(handler):
        handler.answer(status, content, **headers)
        return True

    return fault


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(web_client, "_PAUSES_S", (0.01, 0.05))
    one = Server()
    one.thread.start()
    yield one
    one.server.shutdown()
    one.server.server_close()
    one.thread.join()


@pytest.fixture
def get(server, tmp_path):
    """Download from the server into a folder."""

    def run(**options):
        return download(tmp_path / "out", base_url=server.base_url, patience_s=1.0, timeout_s=5.0, **options)

    return run


def zipped(files):
    """A ZIP archive of ``files`` (name to content)."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def published(patients, root=""):
    files = {}
    for patient in patients:
        for sequence, mask in (("T1WI", "ROI-T1"), ("T2WI", "ROI-T2"), ("CE-T1WI", "ROI-CE-T1")):
            files[f"{root}MRI-Segments/{patient}/{sequence}/1.dcm"] = b"DICM" * 40
            files[f"{root}MRI-Segments/{patient}/{mask}.nii"] = b"\0" * 2000
    return files | {f"{root}info_diagnoses.csv": "ID,T\n001,T3\n"}


def names(folder):
    return sorted(p.name for p in folder.iterdir())


# -- what is wanted ----------------------------------------------------------------------------------


def test_the_record_is_downloaded_unpacked_counted_and_cited(server, get, tmp_path):
    server.files = {"primary_data.zip": zipped(published(["001", "002", "003"])), "readme.md": b"# Data"}
    found = get()
    out = tmp_path / "out"
    assert names(out) == ["primary_data", "primary_data.zip", "readme.md", "record.json"]
    assert (found.patients, found.cohort) == (3, out / "primary_data")
    assert found.summary == (
        "3 patients in the published layout: primary_data\n"
        "License: CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/)\n"
        "Cite: Li, Yin; Chen, Qi (2024). A data set. Zenodo. https://doi.org/10.5281/zenodo.13131827"
    )
    table = found.to_frame().set_index("file")
    assert table.loc["primary_data.zip", ["state", "folder", "patients"]].tolist() == [
        "downloaded",
        "primary_data",
        3,
    ]
    assert "CC BY 4.0" in found._repr_html_()
    assert str(tmp_path) not in found.summary + found.to_frame().to_string()


def test_a_second_call_asks_no_network_and_changes_nothing(server, get, tmp_path):
    server.files = {"data.zip": zipped(published(["001"], "data/")), "readme.md": b"# Data"}
    get()
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*")}
    asked = len(server.requests)
    again = get()
    assert len(server.requests) == asked
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*")} == before
    assert (again.patients, set(again.to_frame()["state"])) == (1, {"already there"})


@pytest.mark.parametrize("root", ["", "data/", "primary_data/", "primary_data/data/"])
def test_patients_are_found_under_any_root(server, get, root):
    server.files = {"primary_data.zip": zipped(published(["001", "002"], root))}
    assert get().patients == 2


def test_only_the_files_asked_for(server, get, tmp_path):
    server.files = {"a.zip": zipped(published(["001"])), "b.bin": BIG}
    found = get(files=["b.bin"])
    assert names(tmp_path / "out") == ["b.bin", "record.json"]
    assert (found.patients, found.cohort) == (0, None)
    assert "No patients" in found.summary
    with pytest.raises(DownloadError, match=r"no file c\.bin. It has a\.zip, b\.bin"):
        get(files=["c.bin"])


def test_archives_are_left_packed_and_unpacked_later(server, get, tmp_path):
    server.files = {"a.zip": zipped(published(["001"]))}
    get(unpack=False)
    assert names(tmp_path / "out") == ["a.zip", "record.json"]
    asked = len(server.requests)
    assert get().patients == 1
    assert len(server.requests) == asked


def test_a_file_that_was_brought_by_hand_is_taken(server, get, tmp_path):
    server.files = {"a.zip": zipped(published(["001"]))}
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.zip").write_bytes(server.files["a.zip"])
    assert get().patients == 1
    assert not server.asked("a.zip")


@pytest.mark.parametrize(
    "record",
    [
        13131827,
        "13131827",
        "10.5281/zenodo.13131827",
        "https://doi.org/10.5281/zenodo.13131827",
        "https://zenodo.org/records/13131827/",
    ],
)
def test_ways_to_name_a_record(record):
    assert record_number(record) == NUMBER


@pytest.mark.parametrize("record", ["10.1038/s41597", "", "../1", "13131827?x=1"])
def test_what_names_no_record(record):
    with pytest.raises(DownloadError, match="no record"):
        record_number(record)


# -- networks ----------------------------------------------------------------------------------------


def test_a_connection_that_drops_is_continued_where_it_broke_off(server, get, tmp_path):
    server.files = {"b.bin": BIG}
    server.faults["b.bin"] = [drop_at(1_000_000), drop_at(1_900_000), say(503), drop_at(1_900_000)]
    get()
    assert (tmp_path / "out" / "b.bin").read_bytes() == BIG
    asked = server.asked("b.bin")
    assert len(asked) == 5
    assert asked[0][1:] == (None, None)
    starts = [int(r[1].removeprefix("bytes=").rstrip("-")) for r in asked[1:]]
    assert 0 < starts[0] <= 1_000_000 < starts[1] <= 1_900_000
    assert starts[1] == starts[2] == starts[3]
    assert {r[2] for r in asked[1:]} == {'"one"'}
    assert names(tmp_path / "out") == ["b.bin", "record.json"]


def test_an_interrupted_call_is_continued_by_the_next(server, get, tmp_path):
    server.files = {"b.bin": BIG}
    server.faults["b.bin"] = [drop_at(1_500_000)] + [say(503)] * 1000
    with pytest.raises(DownloadError, match=r"nothing more came for 1 s: the server answers 503.*kept"):
        get()
    assert names(tmp_path / "out") == ["b.bin.part", "b.bin.part.json", "record.json"]
    server.faults.clear()
    server.requests.clear()
    get()
    assert (tmp_path / "out" / "b.bin").read_bytes() == BIG
    ((_, asked, _),) = server.requests
    assert int(asked.removeprefix("bytes=").rstrip("-")) > 1_000_000


def test_a_server_without_ranges_begins_again(server, get, tmp_path):
    server.files, server.ranges, server.etag = {"b.bin": BIG}, False, None
    server.faults["b.bin"] = [drop_at(1_000_000), drop_at(500_000), drop_at(2_000_000)]
    get()
    assert (tmp_path / "out" / "b.bin").read_bytes() == BIG
    assert {r[2] for r in server.asked("b.bin")} == {None}


def test_a_file_that_changed_meanwhile_is_begun_again(server, get, tmp_path):
    server.files = {"b.bin": BIG[::-1]}
    server.checksums["b.bin"] = "md5:" + hashlib.md5(BIG).hexdigest()

    def change(handler):
        drop_at(1_000_000)(handler)
        server.files, server.etag = {"b.bin": BIG}, '"two"'
        return True

    server.faults["b.bin"] = [change]
    get()
    assert (tmp_path / "out" / "b.bin").read_bytes() == BIG
    assert [r[2] for r in server.asked("b.bin")] == [None, '"one"']


def test_an_answer_with_another_part_is_not_appended(server, get, tmp_path):
    server.files = {"b.bin": BIG}

    def other_part(handler):
        handler.answer(206, BIG[5:105], Content_Range=f"bytes 5-104/{len(BIG)}")
        return True

    server.faults["b.bin"] = [drop_at(1_000_000), other_part, drop_at(2_000_000), say(416)]
    get()
    assert (tmp_path / "out" / "b.bin").read_bytes() == BIG


def test_a_part_of_another_file_is_dropped(server, get, tmp_path):
    server.files = {"b.bin": BIG}
    out = tmp_path / "out"
    out.mkdir()
    (out / "b.bin.part").write_bytes(b"x" * 1000)
    (out / "b.bin.part.json").write_text(json.dumps({"size": 5, "checksum": "md5:" + "0" * 32}))
    get()
    assert (out / "b.bin").read_bytes() == BIG
    assert server.asked("b.bin")[0][1] is None


def test_a_checksum_wrong_once_is_mended_and_wrong_twice_is_an_error(server, get, tmp_path):
    server.files = {"b.bin": BIG}
    wrong = BIG[:-1] + bytes([BIG[-1] ^ 1])
    server.faults["b.bin"] = [say(200, wrong)]
    get()
    assert (tmp_path / "out" / "b.bin").read_bytes() == BIG
    shutil.rmtree(tmp_path / "out")
    server.faults["b.bin"] = [say(200, wrong)] * 2
    with pytest.raises(DownloadError, match="twice with a wrong checksum"):
        get()
    assert names(tmp_path / "out") == ["record.json"]


def test_redirects_are_followed_with_their_range_but_not_to_just_anywhere(server, get, tmp_path):
    server.files = {"b.bin": BIG, "store.bin": BIG}
    there = f"{server.base_url}{NUMBER}/files/store.bin/content"
    server.faults["b.bin"] = [say(302, Location=there), say(307, Location=there)]
    server.faults["store.bin"] = [drop_at(1_000_000)]
    get(files=["b.bin"])
    assert (tmp_path / "out" / "b.bin").read_bytes() == BIG
    assert server.asked("store.bin")[1][1] is not None
    for elsewhere in ("http://example.org/b.bin", "ftp://example.org/b.bin", "file:///etc/hostname"):
        shutil.rmtree(tmp_path / "out")
        server.faults["b.bin"] = [say(302, Location=elsewhere)]
        with pytest.raises(DownloadError, match=r"not encrypted|answers 302"):
            get(files=["b.bin"])
        assert "b.bin" not in names(tmp_path / "out")


def test_links_of_the_record_must_be_encrypted_too():
    client = Client("https://zenodo.org/api/records")
    client.require_allowed("https://files.example.org/a")
    for url in ("http://zenodo.org/a", "http://127.0.0.1/a", "file:///a", "data:,a", ""):
        with pytest.raises(DownloadError, match="not encrypted"):
            client.require_allowed(url)
    for base in ("ftp://zenodo.org/", "zenodo.org", "file:///records", ""):
        with pytest.raises(DownloadError, match="no web address"):
            Client(base)


def test_a_login_page_is_not_the_file(server, get, tmp_path):
    server.files = {"b.bin": BIG}
    server.faults["b.bin"] = [say(200, b"<html>Please log in</html>")]
    with pytest.raises(DownloadError, match=r"offers 26 B where the record says 3\.0 MB.*login"):
        get()
    server.faults[NUMBER] = [say(200, b"<html>Please log in</html>")]
    shutil.rmtree(tmp_path / "out")
    with pytest.raises(DownloadError, match=r"no JSON.*login"):
        get()


def test_answers_of_the_server(server, get):
    server.files = {"b.bin": BIG}
    for status, message in [(404, "no such record"), (403, "restricted"), (418, "answers 418")]:
        server.faults[NUMBER] = [say(status)]
        with pytest.raises(DownloadError, match=message):
            get()
    server.faults[NUMBER] = [say(503), say(429, Retry_After="0"), say(500)]
    assert get().files[0].state == "downloaded"


def test_nobody_answers(tmp_path, monkeypatch):
    monkeypatch.setattr(web_client, "_PAUSES_S", (0.01, 0.05))
    silent = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    port = silent.server_port
    silent.server_close()
    with pytest.raises(DownloadError, match=r"nothing more came for 0\.2 s: no connection"):
        download(tmp_path / "out", base_url=f"http://127.0.0.1:{port}/", patience_s=0.2)


# -- disk --------------------------------------------------------------------------------------------


def test_too_little_room_is_said_before_anything_is_downloaded(server, get, monkeypatch):
    server.files = {"a.zip": zipped(published(["001"])), "b.bin": BIG}
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(0, 0, 200_000_000))
    with pytest.raises(DownloadError, match=r"too little room: about 3\.0 MB are needed, 200\.0 MB are free"):
        get()
    assert not server.asked("b.bin")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(0, 0, 300_000_000))
    assert get().patients == 1


def test_the_true_size_counts_once_the_archive_is_here(server, get, tmp_path, monkeypatch):
    files = {f"MRI-Segments/001/ROI-T{k}.nii": b"\0" * 20_000_000 for k in (1, 2)}
    server.files = {"a.zip": zipped(files)}
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(0, 0, 210_000_000))
    with pytest.raises(DownloadError, match=r"about 40\.0 MB are needed"):
        get()
    assert names(tmp_path / "out") == ["a.zip", "record.json"]


def test_a_disk_that_is_full_all_the_same(server, get, monkeypatch):
    server.files = {"b.bin": BIG}

    def full(*args, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(download_module, "fetch_file", full)
    with pytest.raises(DownloadError, match=r"out cannot be written to \(No space left on device\)"):
        get()


def test_other_files_in_the_way_are_not_touched(server, get, tmp_path):
    server.files = {"a.zip": zipped(published(["001"]))}
    out = tmp_path / "out"
    (out / "a").mkdir(parents=True)
    (out / "a" / "mine.txt").write_text("mine")
    with pytest.raises(DownloadError, match="a is in the way"):
        get()
    shutil.rmtree(out / "a")
    (out / "a.zip").write_bytes(b"mine")
    with pytest.raises(DownloadError, match=r"a\.zip is in the way"):
        get()
    assert (out / "a.zip").read_bytes() == b"mine"
    with pytest.raises(DownloadError, match=r"holds record 13131827, not 5"):
        get(record=5)
    (tmp_path / "file").write_text("")
    with pytest.raises(DownloadError, match="file cannot be written to"):
        download(tmp_path / "file", base_url=server.base_url)


# -- records -----------------------------------------------------------------------------------------

FILE = {"key": "a.zip", "size": 3, "checksum": "md5:" + "0" * 32, "links": {"self": "https://zenodo.org/a"}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"key": "../a.zip"}, "leads out"),
        ({"key": "a/b.zip"}, "cannot be"),
        ({"key": ".hidden"}, "cannot be"),
        ({"key": "C:a"}, "leads out"),
        ({"size": -1}, "cannot be"),
        ({"size": "many"}, "lacks"),
        ({"checksum": "crc:00"}, "no checksum"),
        ({"checksum": "md5:xyz"}, "no checksum"),
        ({"links": {}}, "lacks"),
        ({"links": None}, "lacks"),
    ],
)
def test_records_that_cannot_be(change, message):
    with pytest.raises(DownloadError, match=message):
        parse_record({"files": [FILE | change]}, "1")


@pytest.mark.parametrize("content", [[], {}, {"files": []}, {"files": [FILE, FILE | {"key": "A.zip"}]}])
def test_records_without_files_or_with_one_twice(content):
    with pytest.raises(DownloadError, match="record"):
        parse_record(content, "1")


def test_a_record_that_says_little():
    record = parse_record({"files": [FILE], "metadata": {"creators": ["?", {}]}}, "7")
    assert record.license == "not stated in the record"
    assert record.citation == "Authors not stated. Record 7. Zenodo. https://doi.org/10.5281/zenodo.7"


# -- archives ----------------------------------------------------------------------------------------


def written(tmp_path, content):
    path = tmp_path / "evil.zip"
    path.write_bytes(content)
    return path


def member(name, mode=0o100644, flag=0, content=b"x"):
    """One odd member beside a good one."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("good.txt", "good")
        info = zipfile.ZipInfo("x")
        info.filename, info.external_attr = name, mode << 16
        archive.writestr(info, content)
    packed = bytearray(stream.getvalue())
    if flag:
        central = packed.rindex(b"PK\x01\x02")
        packed[central + 8] |= flag
    return bytes(packed)


EVIL = {
    "climbs": (member("../../escaped.txt"), "leads out"),
    "climbs later": (member("a/../../../escaped.txt"), "leads out"),
    "climbs backwards": (member("..\\..\\escaped.txt"), "leads out"),
    "absolute": (member("/escaped.txt"), "leads out"),
    "drive": (member("C:/escaped.txt"), "leads out"),
    "network": (member("\\\\server\\share\\x"), "leads out"),
    "stream": (member("a.txt:stream"), "no name"),
    "device name": (member("a/NUL.txt"), "no name"),
    "dots at the end": (member("a./x"), "no name"),
    "link": (member("link", stat.S_IFLNK | 0o777, content=b"/etc"), "link"),
    "pipe": (member("pipe", stat.S_IFIFO | 0o600), "link or a device"),
    "encrypted": (member("secret", flag=1), "encrypted"),
    "same but for case": (member("GOOD.txt"), "two files"),
    "file and folder": (member("good.txt/x"), "file and a folder"),
    "no archive": (b"<html>", "no ZIP archive"),
    "cut off": (zipped(published(["001"]))[:-30], "no ZIP archive"),
}


@pytest.mark.parametrize("kind", EVIL)
def test_archives_that_are_refused_leave_nothing_behind(server, get, tmp_path, kind):
    content, message = EVIL[kind]
    server.files = {"data.zip": content}
    with pytest.raises(DownloadError, match=message):
        get()
    assert names(tmp_path / "out") == ["data.zip", "record.json"]
    assert names(tmp_path) == ["out"]


def test_a_name_twice(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            archive.writestr("a.txt", "1")
            archive.writestr("a.txt", "2")
    with pytest.raises(DownloadError, match="two files of one name"):
        Archive(written(tmp_path, stream.getvalue()))


def test_bombs(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "_ALWAYS_MODEST", 1_000_000)
    with pytest.raises(DownloadError, match="no images do"):
        Archive(written(tmp_path, zipped({"zeros": b"\0" * 5_000_000})))
    monkeypatch.setattr(unpacking, "_MOST_FILES", 5)
    with pytest.raises(DownloadError, match="in 6 files"):
        Archive(written(tmp_path, zipped({f"{k}": b"" for k in range(6)})))


def test_a_size_that_lies_does_not_write_more(tmp_path):
    packed = bytearray(zipped({"a": b"\0" * 100_000}))
    central = packed.rindex(b"PK\x01\x02")
    packed[central + 24 : central + 28] = (1000).to_bytes(4, "little")
    archive = Archive(written(tmp_path, bytes(packed)))
    pieces = []
    with pytest.raises(DownloadError, match="damaged"):
        pieces.extend(archive.unpack(tmp_path / "out"))
    assert sum(pieces) <= 1000
    assert names(tmp_path) == ["evil.zip"]


def test_a_damaged_file_within(server, get, tmp_path):
    content = bytearray(zipped({"MRI-Segments/001/ROI-T1.nii": np.random.default_rng(1).bytes(50_000)}))
    content[25_000] ^= 255
    server.files = {"data.zip": bytes(content)}
    with pytest.raises(DownloadError, match=r"within data\.zip is damaged"):
        get()
    assert names(tmp_path / "out") == ["data.zip", "record.json"]


def test_what_an_interrupted_unpacking_left_is_cleared(server, get, tmp_path):
    server.files = {"data.zip": zipped(published(["001"]))}
    left = tmp_path / "out" / ".tmp-data" / "MRI-Segments" / "099" / "T1WI"
    left.mkdir(parents=True)
    assert get().patients == 1
    assert names(tmp_path / "out") == ["data", "data.zip", "record.json"]


@pytest.mark.parametrize("encoding", ["gb18030", "utf-8"])
def test_chinese_names_without_the_mark_of_unicode(tmp_path, encoding):
    # as Chinese Windows and old macOS pack: bytes of their own encoding, and no flag
    raw = "鼻咽癌数据/患者喆001/病历.csv".encode(encoding)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("x" * len(raw), "content")
    packed = stream.getvalue().replace(b"x" * len(raw), raw)
    list(Archive(written(tmp_path, packed)).unpack(tmp_path / "out"))
    assert (tmp_path / "out" / "鼻咽癌数据" / "患者喆001" / "病历.csv").read_text() == "content"


def test_names_of_other_encodings_stay_as_zip_has_them(tmp_path):
    raw = "Émile.csv".encode("cp437")
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("x" * len(raw), "content")
        archive.writestr("患者.csv", "unicode")
    packed = stream.getvalue().replace(b"x" * len(raw), raw)
    list(Archive(written(tmp_path, packed)).unpack(tmp_path / "out"))
    assert names(tmp_path / "out") == ["Émile.csv", "患者.csv"]


def test_safe_parts():
    assert safe_parts("./a//b/") == ("a", "b")
    for name in ("..", "a/..", "/", "c:\\x", "a\x00b", "a\nb", "aux", "a /b"):
        with pytest.raises(DownloadError):
            safe_parts(name)
